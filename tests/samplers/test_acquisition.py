"""The expected improvement: its values, its gradients, and what pending trials do to it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, stats
from scipy.optimize import approx_fprime

from tunekit.samplers.bayesian.acquisition import ExpectedImprovement, log_improvement
from tunekit_surrogates.blocks import BlockStructure
from tunekit_surrogates.tree_gp import fit


@pytest.fixture
def gp():
    rng = np.random.default_rng(0)
    x = rng.random((20, 2))
    y = np.sin(6 * x[:, 0]) + x[:, 1]
    return fit(BlockStructure.flat([0, 0]), x, (y - y.mean()) / y.std())


@pytest.mark.parametrize("z", [-6.0, -2.0, -1.001, -0.999, 0.0, 1.5])
def test_the_logarithm_of_the_improvement_is_that_of_the_integral(z):
    value = integrate.quad(lambda t: (z - t) * stats.norm.pdf(t), -40, z, epsabs=0)[0]
    assert log_improvement(np.array([z]))[0] == pytest.approx(math.log(value), rel=1e-6)


def test_it_is_finite_and_falls_far_from_any_improvement():
    values = log_improvement(-np.logspace(0, 8, 50))
    assert np.all(np.isfinite(values)) and np.all(np.diff(values) < 0)


@pytest.mark.parametrize("n_pending", [0, 3])
@pytest.mark.parametrize("exploration", [1.0, 0.6])
def test_its_gradients_are_those_of_differences(gp, n_pending, exploration):
    rng = np.random.default_rng(1)
    score = ExpectedImprovement(
        gp, rng.random((n_pending, 2)), exploration=exploration, rng=np.random.default_rng(2)
    )
    rows = rng.random((4, 2))
    values, gradient = score.climber(rows)(rows)
    np.testing.assert_allclose(values, score(rows), rtol=1e-6)
    for row, slope in zip(rows, gradient, strict=True):
        numeric = approx_fprime(row, lambda u: score(u[None])[0], 1e-6)
        np.testing.assert_allclose(slope, numeric, rtol=1e-2, atol=1e-2 * np.abs(slope).max())


def test_little_is_expected_where_a_trial_runs_already(gp):
    grid = np.random.default_rng(3).random((500, 2))
    alone = ExpectedImprovement(gp, grid[:0], rng=np.random.default_rng(4))
    best = grid[np.argmax(alone(grid))]
    with_pending = ExpectedImprovement(gp, best[None], rng=np.random.default_rng(4))
    assert with_pending(best[None])[0] < alone(best[None])[0] - 1.0
