"""The first points of the model's sampler: how far they spread, and when they end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tunekit.history import History
from tunekit.records import TrialState
from tunekit.samplers.bayesian.initial_design import stratified_walk
from tunekit.samplers.bayesian.plateau import MOST, is_plateau
from tunekit.samplers.bayesian.sampler import BayesianSampler
from tunekit.spaces import Categorical, Float, Int, Params, Repeat, Space
from tunekit.testing.samplers import ONE, random_trials, view_of

FLAT = Space({f"x{i}": Float(0.0, 1.0, default=0.1) for i in range(3)})
BRANCHED = Space(
    x0=Float(0.0, 1.0, default=0.1), kind=Categorical({"a": Space(u=Float(0.0, 1.0)), "b": None})
)


def with_losses(space, losses):
    return [
        replace(t, metrics={"loss": loss})
        for t, loss in zip(random_trials(space, len(losses)), losses, strict=True)
    ]


def first_points(space, n=6):
    """Return the first proposals of a study, all of whose trials still run."""
    view = view_of(space)
    return [p.params for p in BayesianSampler(n_start=n).suggest(view, range(n))][1:]


def test_in_a_flat_space_the_first_points_reach_both_ends_of_each_range():
    x = np.array([[p[f"x{i}"] for i in range(3)] for p in first_points(FLAT, 12)])
    assert x.max(axis=0).min() > 0.9, "0.64 would be the farthest point on the way to the default"
    assert x.min(axis=0).max() < 0.1


def test_beside_branches_they_stay_nearer_to_the_default():
    x = np.array([p["x0"] for p in first_points(BRANCHED, 12)])
    assert x.max() <= 0.1 + 0.6 * 0.9


@pytest.mark.parametrize(
    ("losses", "flat"),
    [
        ([0.99] * 6, True),
        ([0.9902, 0.9898, 0.99, 0.9901, 0.9899, 0.99], True),
        ([0.99] * 5 + [1e34], True),
        ([-0.01] * 6, True),
        ([0.0] * 6, True),
        ([0.99] * 5 + [0.95], False),
        ([0.3, 0.5, 0.2, 0.9, 0.4, 0.6], False),
        ([0.99], False),
        ([], False),
        ([0.99] * MOST, False),
    ],
)
def test_a_plateau_is_where_no_result_is_better_than_the_usual(losses, flat):
    history = History(ONE)
    history.update(with_losses(FLAT, losses), cursor=0)
    assert is_plateau(history) is flat


def next_reason(losses, **options):
    view = view_of(FLAT, with_losses(FLAT, losses))
    return BayesianSampler(**options).suggest(view, [len(losses)])[0].reason


def test_the_start_goes_on_until_a_result_is_better_than_the_others():
    assert "10 lie on one plateau" in next_reason([0.99] * 10)
    assert "a model of 11 trials" in next_reason([0.99] * 10 + [0.9])
    assert "a model" in next_reason([0.99] * MOST), "at some time the model has to try"


def test_on_a_plateau_the_points_go_to_the_ends_of_the_ranges():
    view = view_of(FLAT, with_losses(FLAT, [0.99] * 10))
    points = [BayesianSampler().suggest(view, [n])[0].params for n in range(10, 70)]
    x = np.array([[p[f"x{i}"] for i in range(3)] for p in points])
    assert np.mean((x < 0.1) | (x > 0.9)) > 0.3, "0.2 of uniform points"


@pytest.mark.parametrize(("n_ended", "why"), [(3, "covers the branches"), (4, "a model of 4")])
def test_with_many_workers_a_model_waits_for_four_results(n_ended, why):
    ended = with_losses(FLAT, [0.9, 0.5, 0.7, 0.3][:n_ended])
    running = [
        replace(t, number=100 + t.number, seq=100 + t.seq)
        for t in random_trials(FLAT, 7, TrialState.RUNNING)
    ]
    view = view_of(FLAT, [*ended, *running])
    assert why in BayesianSampler().suggest(view, [200])[0].reason


def test_a_start_of_given_length_ends_there():
    assert "a model of 6 trials" in next_reason([0.99] * 6, n_start=6)


def test_a_fixed_value_is_not_taken_for_a_parameter_with_the_same_last_name():
    block = Space(switch=Categorical([True, False]))
    space = Space(a=Repeat(1, 1, block), switch=Int(0, 3))
    fixed = Params({"a": 1, "a.0.switch": False})
    point = stratified_walk(space, [], np.random.default_rng(0), fixed)
    assert point["a.0.switch"] is False
    assert type(point["switch"]) is int
