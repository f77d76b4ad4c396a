"""Fronts and layers by sort and sweep are those of their definition."""

import numpy as np
import pytest

from tunekit_surrogates.non_domination import BLOCK, layers, non_dominated


def dominators(y):
    """Return `[i, j]`: whether point `i` dominates point `j`."""
    no_worse = (y[:, None] <= y[None]).all(axis=2)
    return no_worse & (y[:, None] < y[None]).any(axis=2)


def peeled(y):
    """Return the layers by definition, equal points in one."""
    ranks, above = np.full(len(y), -1), dominators(y)
    while (ranks < 0).any():
        rest = ranks < 0
        front = rest & ~above[rest].any(axis=0)
        ranks[front] = ranks.max() + 1
    return ranks


def points(m, n, seed):
    y = np.random.default_rng(seed).integers(0, 12, (n, m)).astype(float)
    y[::17], y[5::23] = np.inf, -np.inf
    return y


@pytest.mark.parametrize("m", [1, 2, 3, 5])
@pytest.mark.parametrize("n", [0, 1, 2, 90, 2 * BLOCK + 7])
def test_a_front_holds_what_nothing_dominates(m, n):
    y = points(m, n, seed=n + m)
    free = ~dominators(y).any(axis=0)
    assert non_dominated(y, equals=True).tolist() == free.tolist()
    first = [free[i] and not (y[:i] == y[i]).all(axis=1).any() for i in range(n)]
    assert non_dominated(y).tolist() == first


@pytest.mark.parametrize("m", [1, 2, 3, 5])
def test_layers_are_fronts_of_what_is_left(m):
    y = points(m, 400, seed=m)
    assert layers(y, equals=True).tolist() == peeled(y).tolist()
    rest, in_turn = np.arange(len(y)), layers(y)
    for layer in range(in_turn.max() + 1):
        front = non_dominated(y[rest])
        assert (in_turn[rest] == layer).tolist() == front.tolist()
        rest = rest[~front]


def test_nan_counts_as_the_worst_value():
    y = np.array([[np.nan, 0.0], [1.0, 0.0], [2.0, -1.0], [0.0, np.nan]])
    assert non_dominated(y).tolist() == [False, True, True, True]
    assert layers(y).tolist() == [1, 0, 0, 0]
