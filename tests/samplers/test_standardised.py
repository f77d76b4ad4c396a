"""The scale of losses for a model: clipped at the bad end, but never where a front lies."""

import numpy as np
import pytest

from tunekit.samplers.bayesian.training_data import (
    Observed,
    front_standardised,
    reach_of_front,
    standardised,
)
from tunekit_surrogates.non_domination import non_dominated


def data_of(losses, violation=None):
    n = len(losses)
    x, failed = np.zeros((n, 1)), np.zeros((0, 1))
    return Observed([], x, losses, np.zeros(n) if violation is None else violation, failed)


def test_far_losses_count_as_equally_bad():
    y = standardised(np.array([1.0, 2.0, 3.0, 100.0, 1e9]))
    assert y[3] == y[4] > y[2] > y[1] > y[0]
    assert (y.mean(), y.std()) == pytest.approx((0.0, 1.0))


def test_where_half_of_the_losses_equal_the_best_the_others_stay_apart():
    y = standardised(np.array([0.0, 0.0, 0.0, 1.0, 2.0]))
    assert y[4] > y[3] > y[0] == y[1]


def test_all_points_of_a_front_stay_apart_where_most_trials_lie_at_its_ends():
    turns = np.concatenate([np.zeros(12), np.full(12, np.pi / 2), np.linspace(0.2, 1.3, 8)])
    losses = np.stack([np.cos(turns), np.sin(turns)], axis=1)
    losses[:12] *= np.linspace(1.0, 2.0, 12)[:, None]
    y = front_standardised(data_of(losses))
    assert np.array_equal(non_dominated(y), non_dominated(losses))
    assert len(np.unique(y[24:], axis=0)) == 8


def test_one_huge_loss_leaves_the_others_apart_beside_a_small_front():
    rng = np.random.default_rng(4)
    losses = rng.random((20, 2))
    losses[7] = 1e9
    y = front_standardised(data_of(losses))
    assert np.all(np.std(np.delete(y, 7, axis=0), axis=0) > 0.3)


def test_there_is_no_reach_before_there_is_a_result():
    assert reach_of_front(data_of(np.empty((0, 2)))).tolist() == [-np.inf, -np.inf]


def test_the_front_is_that_of_the_feasible_trials():
    losses = np.array([[0.0, 1.0], [1.0, 0.0], [-5.0, 9.0], [-5.0, 9.0]])
    violation = np.array([0.0, 0.0, 1.0, 1.0])
    assert reach_of_front(data_of(losses, violation)).tolist() == pytest.approx([1.1, 1.1])
    assert reach_of_front(data_of(losses[:, :1])).tolist() == [-np.inf]
