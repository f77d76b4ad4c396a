"""A search leaves pieces of the space on which the objective is constant."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

import tunekit as tk
from tunekit.records import ObjectiveSpec, Outcome, TrialState
from tunekit.samplers.bayesian.pieces import distances, known_pieces
from tunekit.samplers.bayesian.sampler import BayesianSampler
from tunekit.testing.samplers import ONE, ended, view_of

NUMBERS = np.ones(2, dtype=bool)
CUBE = tk.Space({f"x{i}": tk.Float(0.0, 1.0) for i in range(4)})
TWO = (ObjectiveSpec("loss"), ObjectiveSpec("size"))


def table(n, seed):
    """Return an objective that answers with the metrics of the nearest of `n` recorded points."""
    rng = np.random.default_rng(seed)
    rows = rng.random((n, 4))
    losses = np.square(rows - 0.3).sum(axis=1) + 0.05 * rng.random(n)
    sizes = np.square(rows - 0.6).sum(axis=1)

    def measured(params):
        point = np.array([params[f"x{i}"] for i in range(4)])
        row = np.argmin(np.square(rows - point).sum(axis=1))
        return {"loss": float(losses[row]), "size": float(sizes[row])}

    return measured


def searched(objective, n, *, seed=0, objectives=ONE):
    trials = []
    for number in range(n):
        view = view_of(CUBE, trials, seed=seed, objectives=objectives)
        (proposal,) = BayesianSampler().suggest(view, [number])
        outcome = Outcome(TrialState.COMPLETE, metrics=objective(proposal.params))
        trials.append(ended(number, proposal, outcome))
    return trials


def pieces(points, losses):
    return known_pieces(np.array(points), np.array(losses, dtype=float)[:, None], NUMBERS)


@pytest.mark.parametrize(("seed", "objectives", "most"), [(2, ONE, 9), (1, ONE, 9), (1, TWO, 9)])
def test_a_row_of_a_table_is_not_measured_again_and_again(seed, objectives, most):
    trials = searched(table(60, seed), 30, seed=seed, objectives=objectives)
    rows = Counter(t.metrics["loss"] for t in trials)
    assert max(rows.values()) <= most
    assert any(t.evidence.get("new_piece", 1.0) < 0.9 for t in trials)


def test_each_further_tie_makes_its_surroundings_less_promising():
    others = [[0.9, 0.9], [0.1, 0.9], [0.9, 0.1]]
    tied = [[0.30, 0.30], [0.36, 0.30], [0.30, 0.37], [0.24, 0.30], [0.33, 0.24]]
    beside = np.array([[0.27, 0.36]])
    found = [
        float(pieces([*others, *tied[:n]], [3, 4, 5, *[1.0] * n]).log_probability(beside)[0])
        for n in range(2, 6)
    ]
    assert found == sorted(found, reverse=True)
    assert found[-1] < np.log(0.2)


def test_a_trial_nearby_that_does_not_tie_bounds_the_piece():
    points, losses = [[0.3, 0.3], [0.4, 0.3], [0.9, 0.9]], [1.0, 1.0, 2.0]
    beside = np.array([[0.5, 0.3]])
    bounded = pieces([*points, [0.48, 0.3]], [*losses, 1.5]).log_probability(beside)
    assert pieces(points, losses).log_probability(beside) < bounded < 0.0


def test_equal_values_far_apart_with_others_between_are_a_coincidence():
    line = [[0.1 * i, 0.5] for i in range(11)]
    losses = [0.0, *range(1, 10), 0.0]
    between = np.array([0.25, 0.5])
    assert pieces(line, losses).probability(between) > 0.95
    assert pieces(line[::10], losses[::10]).probability(between) < 0.75


@pytest.mark.parametrize(
    ("points", "losses"),
    [
        ([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]], [1.0, 2.0, 3.0]),
        ([[0.1, 0.2], [0.1, 0.2], [0.5, 0.6]], [1.0, 1.0, 3.0]),  # a point measured twice
    ],
)
def test_without_ties_of_distinct_points_there_are_no_pieces(points, losses):
    assert pieces(points, losses) is None


def test_the_gradient_is_that_of_the_score():
    rng = np.random.default_rng(0)
    is_number = np.array([True, True, True, False])
    x = rng.random((14, 4))
    x[:, 3] = rng.integers(0, 2, 14) / 2 + 0.25
    x[::3, 2] = np.nan
    known = known_pieces(x, rng.integers(0, 4, (14, 1)).astype(float), is_number)
    rows = rng.random((6, 4))
    rows[:, 3], rows[::2, 2] = 0.25, np.nan
    value, gradient = known.climber(rows)(rows)
    np.testing.assert_allclose(value, known.log_probability(rows))
    for j in range(3):
        step = np.eye(4)[j] * 1e-6
        slope = (known.log_probability(rows + step) - known.log_probability(rows - step)) / 2e-6
        np.testing.assert_allclose(gradient[:, j], np.nan_to_num(slope), atol=1e-6)
    assert not gradient[:, 3].any() and not gradient[::2, 2].any()


def test_another_category_and_an_inactive_number_are_a_distance_of_one_or_more():
    is_number = np.array([True, False])
    a = np.array([[0.2, 0.25], [np.nan, 0.25]])
    b = np.array([[0.5, 0.25], [0.2, 0.75]])
    np.testing.assert_allclose(distances(a, b, is_number)[0], [0.3, 1.0])
    assert (distances(a, b, is_number)[1] >= 1.0).all()
