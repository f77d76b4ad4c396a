"""Small networks trained for real, and real boosters, as problems."""

import pickle

import numpy as np
import pytest

from tunekit.bench.suites import suite
from tunekit.samplers.base import sample

pytest.importorskip("sklearn")

NETWORKS = {p.name.split("/")[1][:-2]: p for p in suite("networks")}
LEARNS = {
    "learning_rate_init": 0.2,
    "momentum": 0.8,
    "alpha": 1e-4,
    "batch_size": 16,
    "layers": 1,
    "units": 64,
    "activation": "relu",
    "learning_rate": "constant",
}


def error(name, **changed):
    problem = NETWORKS[name]
    return problem.evaluate(problem.space.validate({**LEARNS, **changed}))


def test_six_networks_have_eight_parameters_without_conditions():
    assert len(NETWORKS) == 6
    for problem in NETWORKS.values():
        assert len(problem.space) == 8 and not any(p.conditions for p in problem.space)
    defaults = {
        tuple(p.space.default().values()) for p in (*NETWORKS.values(), *suite("networks", 1))
    }
    assert len(defaults) == 12


@pytest.mark.parametrize(("name", "chance"), [("digits", 0.9), ("spirals", 0.67)])
def test_a_network_learns_and_with_tiny_steps_stays_at_guessing(name, chance):
    assert error(name, learning_rate_init=1e-6) > chance - 0.15
    assert error(name, learning_rate_init=0.02 if name == "digits" else 0.2) < 0.7 * chance


def test_a_network_whose_weights_become_infinite_fails_its_trial():
    with pytest.raises(ValueError, match="non-finite"):
        error("digits", learning_rate_init=10.0, alpha=100.0, momentum=0.99)


def test_a_training_repeats_exactly_and_survives_a_pickle():
    problem = NETWORKS["cancer"]
    point = problem.space.validate(LEARNS)
    assert problem.evaluate(point) == pickle.loads(pickle.dumps(problem)).evaluate(point)


@pytest.mark.parametrize("name", ["diabetes", "checkers", "shells"])
def test_a_network_that_learns_beats_the_median_of_random_ones(name):
    problem, rng, found = NETWORKS[name], np.random.default_rng(0), []
    while len(found) < 5:
        try:
            found.append(problem.evaluate(sample(problem.space, rng)))
        except ValueError:
            continue
    assert error(name, learning_rate_init=0.05) < np.median(found) <= max(found) <= 1.0
