"""Priors guide a search where they are right, and fade where they are wrong."""

from __future__ import annotations

from dataclasses import replace
from statistics import median

import numpy as np
import pytest
from scipy.stats import lognorm, norm

from tunekit.errors import InvalidArgument, UnknownParameter
from tunekit.samplers.bayesian.prior_term import PriorTerm
from tunekit.samplers.bayesian.priors import UserPriors
from tunekit.samplers.bayesian.sampler import BayesianSampler
from tunekit.samplers.random_streams import stream
from tunekit.spaces import Float, Int, Params, Space
from tunekit.spaces.encode import Encoder
from tunekit.testing.samplers import TREE, ended, view_of

SPACE = Space(
    lr=Float(1e-5, 1e-1, log=True),
    depth=Int(2, 32),
    width=Float(0.5, 8),
    cache=Int(1, 64, log=True, special=(-1,)),
    model=["svm", "forest", True],
)
BELIEFS = {
    "lr": {"lognormal": [3e-4, 1.0]},
    "depth": {"normal": [8, 3]},
    "width": {"lognormal": [2.0, 0.5]},
    "cache": {"normal": [16, 8]},
    "model": {"weights": {"svm": 3, "true": 1}},
}
BOWL = Space(x=Float(0, 1), y=Float(0, 1), z=Float(0, 1), kind=["a", "b", "c", "d"])


def density(beliefs, path, units):
    rows = np.asarray(units, dtype=float)
    found = UserPriors(beliefs).on(SPACE, is_open=False)[path]
    return found.log_and_slope(rows)


@pytest.mark.parametrize("path", BELIEFS)
def test_a_density_has_mass_one_and_keeps_a_tenth_of_the_uniform_one(path):
    grid = (np.arange(200_000) + 0.5) / 200_000
    log, _ = density(BELIEFS, path, grid)
    assert np.exp(log).mean() == pytest.approx(1.0, abs=1e-4)
    assert log.min() >= np.log(0.1) - 1e-12


def test_a_density_is_that_of_the_value():
    u = np.array([0.2, 0.45, 0.7])
    values = np.array([SPACE.by_path["lr"].domain.from_unit(v) for v in u])
    wanted = lognorm(1.0, scale=3e-4)
    mass = wanted.cdf(1e-1) - wanted.cdf(1e-5)
    rate = values * np.log(1e4)  # dv/du
    expected = 0.1 + 0.9 * wanted.pdf(values) * rate / mass
    assert np.exp(density(BELIEFS, "lr", u)[0]) == pytest.approx(expected, rel=1e-6)
    mixed = {"lr": {"normal": [0.01, 0.02]}}
    plain = norm(0.01, 0.02)
    expected = 0.1 + 0.9 * plain.pdf(values) * rate / (plain.cdf(1e-1) - plain.cdf(1e-5))
    assert np.exp(density(mixed, "lr", u)[0]) == pytest.approx(expected, rel=1e-6)


def test_draws_follow_the_density():
    rng = stream(3, 1)
    found = UserPriors(BELIEFS).on(SPACE, is_open=False)
    for path, density_of in found.items():
        if path == "model":
            continue  # its draws are middles of cells
        draws = np.array([density_of.draw(rng) for _ in range(4000)])
        grid = (np.arange(20_000) + 0.5) / 20_000
        chances = np.exp(density_of.log_and_slope(grid)[0]) / len(grid)
        for cut in (0.25, 0.5, 0.75):
            assert np.mean(draws < cut) == pytest.approx(chances[grid < cut].sum(), abs=0.03), path
    special = np.array([found["cache"].draw(rng) < 0.2 for _ in range(4000)])
    assert special.mean() == pytest.approx(0.2, abs=0.03)


def test_the_gradient_of_the_term_is_its_slope():
    encoder = Encoder(SPACE)
    term = PriorTerm(encoder, UserPriors(BELIEFS).on(SPACE, is_open=False), exponent=0.7)
    x = stream(1, 1).random((20, len(encoder))) * 0.7 + 0.25
    _, gradient = term.climber(x)(x)
    for j, column in enumerate(encoder.columns):
        step = np.zeros_like(x)
        step[:, j] = 1e-6
        slope = (term.log_probability(x + step) - term.log_probability(x - step)) / 2e-6
        if column.kind != "categorical":
            assert gradient[:, j] == pytest.approx(slope, rel=1e-4, abs=1e-6)


def test_an_inactive_parameter_adds_nothing():
    encoder = Encoder(TREE)
    beliefs = {"C": {"lognormal": [1.0, 0.1]}, "model": {"weights": {"svm": 1, "forest": 1}}}
    term = PriorTerm(encoder, UserPriors(beliefs).on(TREE, is_open=False), exponent=1.0)
    point = TREE.complete({"model": "forest"})
    assert term.log_probability(encoder.encode([point])) == pytest.approx(
        np.log(0.1 + 0.9 * 3 * 0.5)
    )


@pytest.mark.parametrize(
    ("beliefs", "said"),
    [
        ({"lr": {"lognormal": [3e-4, 0]}}, "above 0"),
        ({"lr": {"normal": [float("nan"), 1]}}, "finite"),
        ({"lr": {"lognormal": [-1, 1]}}, "median above 0"),
        ({"lr": {"uniform": [0, 1]}}, "expected one of"),
        ({"lr": {"normal": [0.1, 1], "lognormal": [0.1, 1]}}, "expected one of"),
        ({"lr": [3e-4, 1]}, "expected one of"),
        ({"model": {"weights": {"svm": 0, "forest": 0.0}}}, "all weights are 0"),
        ({"model": {"weights": {"svm": -1}}}, "number of 0 or more"),
        ([1], "expected a mapping"),
    ],
)
def test_what_can_never_be_a_belief_is_refused_at_once(beliefs, said):
    with pytest.raises(InvalidArgument, match=said):
        BayesianSampler(priors=beliefs)


@pytest.mark.parametrize(
    ("beliefs", "error", "said"),
    [
        ({"learning": {"normal": [0, 1]}}, UnknownParameter, "unknown parameter"),
        ({"lr": {"normal": [3, 1]}}, InvalidArgument, "outside \\["),
        ({"model": {"normal": [1, 1]}}, InvalidArgument, "which has choices"),
        ({"depth": {"weights": {"8": 1}}}, InvalidArgument, "has no choices"),
        ({"model": {"weights": {"swm": 1}}}, InvalidArgument, "did you mean"),
    ],
)
def test_a_belief_that_contradicts_the_space_is_refused_at_the_first_view(beliefs, error, said):
    with pytest.raises(error, match=said):
        BayesianSampler(priors=beliefs).suggest(view_of(SPACE), [0])


def test_two_names_of_one_parameter_contradict_each_other():
    beliefs = {"C": {"lognormal": [1, 1]}, "model.svm.C": {"lognormal": [2, 1]}}
    with pytest.raises(InvalidArgument, match="given twice"):
        BayesianSampler(priors=beliefs).suggest(view_of(TREE), [0])


def test_a_space_that_is_still_discovered_may_learn_the_name_later():
    BayesianSampler(priors={"later": {"normal": [0, 1]}}).suggest(view_of(Space()), [0])


def test_the_start_is_drawn_from_the_priors():
    sampler = BayesianSampler(priors=BELIEFS)
    points = [sampler.suggest(view_of(SPACE, seed=s), [1])[0].params for s in range(200)]
    assert np.mean([p["model"] == "svm" for p in points]) == pytest.approx(0.71, abs=0.1)
    assert median(float(p["depth"]) for p in points) == pytest.approx(8, abs=1)


def bowl(p: Params) -> float:
    return (
        (p["x"] - 0.85) ** 2 + (p["y"] - 0.2) ** 2 + (p["z"] - 0.6) ** 2 + 0.1 * (p["kind"] != "c")
    )


def losses(n: int, *, seed: int, **options) -> list[float]:
    """Return the best loss so far after each trial."""
    sampler = BayesianSampler(**options)
    trials, found = [], []
    for number in range(n):
        proposal = sampler.suggest(view_of(BOWL, trials, seed=seed), [number])[0]
        loss = bowl(proposal.params)
        record = ended(number, proposal)
        trials.append(replace(record, metrics={"loss": loss}))
        found.append(min([loss, *found[-1:]]))
    return found


def around(x, y, z, kind):
    return {
        "x": {"normal": [x, 0.1]},
        "y": {"normal": [y, 0.1]},
        "z": {"normal": [z, 0.1]},
        "kind": {"weights": {**dict.fromkeys("abcd", 1), kind: 3}},
    }


def test_a_good_prior_is_faster_and_a_bad_one_is_forgotten():
    plain = [losses(8, seed=s)[7] for s in range(5)]
    good = [losses(8, seed=s, priors=around(0.8, 0.25, 0.55, "c"))[7] for s in range(5)]
    bad = [losses(36, seed=s, priors=around(0.1, 0.9, 0.1, "a")) for s in range(3)]
    assert median(good) < 0.5 * median(plain)
    assert median(r[7] for r in bad) > median(plain)
    assert median(r[35] for r in bad) < 0.01
