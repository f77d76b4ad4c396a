"""The tree process: against scikit-learn, its own gradients, and what its parts must satisfy."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from tunekit_surrogates.block_kernel import BlockKernel, Parameters
from tunekit_surrogates.blocks import BlockStructure
from tunekit_surrogates.pairs import Pairs
from tunekit_surrogates.tree_gp import HyperparameterPriors, TreeGP, fit

# A switch of three values opens two blocks, of which the first opens another one.
TREE = BlockStructure(((0, 1, 2), (3, 4), (5,), (6, 7)), (-1, 0, 0, 1), (0, 3, 0, 0, 0, 0, 0, 4))


def tree_rows(n, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.random((n, 8))
    x[:, 1] = (rng.integers(3, size=n) + 0.5) / 3
    x[:, 7] = (rng.integers(4, size=n) + 0.5) / 4
    x[x[:, 1] > 0.4, 3:5] = np.nan
    x[x[:, 1] < 0.6, 5] = np.nan
    x[~(x[:, 4] > 0.4), 6:] = np.nan
    y = np.sin(5 * x[:, 0]) + np.nan_to_num(x[:, 3]) + 0.1 * rng.normal(size=n)
    return x, (y - y.mean()) / y.std()


def some_parameters(seed=1):
    mean, sd = HyperparameterPriors().of(TREE)
    rng = np.random.default_rng(seed)
    return Parameters.from_array(mean + 0.7 * sd * rng.normal(size=len(mean)), 8)


def test_the_covariance_is_positive_definite_and_the_same_by_both_ways():
    x, _ = tree_rows(60)
    p = some_parameters()
    kernel = BlockKernel(TREE, x)
    k = kernel.covariance(p)
    assert np.linalg.eigvalsh(k).min() > 0
    np.testing.assert_allclose(np.diag(k), kernel.variance(p, x))
    np.testing.assert_allclose(Pairs(TREE, x, x).covariance(p)[0], k, atol=1e-10)
    np.testing.assert_allclose(kernel.cross(p, x[:7]), k[:7], atol=1e-10)


def test_rows_without_a_block_in_common_but_the_root_share_only_the_root():
    x, _ = tree_rows(60)
    p = some_parameters()
    first, second = x[x[:, 1] < 0.3][0], x[x[:, 1] > 0.7][0]
    root = BlockStructure(((0, 1, 2),), (-1,), (0, 3, 0))
    alone = Parameters(p.lengths[:3], p.weights[:1], p.scale, p.coupling, p.noise)
    both = np.array([first, second])
    of_root = BlockKernel(root, both[:, :3]).covariance(alone)[0, 1]
    w = np.exp(p.weights)
    deeper = w[1] + (0.0 if np.isnan(first[6]) else w[3])
    share = w[0] / math.sqrt((w[0] + deeper) * (w[0] + w[2]))
    assert BlockKernel(TREE, both).covariance(p)[0, 1] == pytest.approx(share * of_root)


def test_all_branches_have_the_same_prior_variance():
    x, _ = tree_rows(60)
    p = some_parameters()
    n_active = (~np.isnan(x[:, [0, 3, 5, 6]])).sum(axis=1)
    assert set(n_active) == {1, 2, 3}, "a choice without children is among the rows"
    np.testing.assert_allclose(BlockKernel(TREE, x).variance(p, x), math.exp(p.scale))


@pytest.mark.parametrize("n_parameters", [12])
def test_the_slopes_in_the_parameters_are_those_of_differences(n_parameters):
    x, _ = tree_rows(20)
    g = np.random.default_rng(2).normal(size=(20, 20))
    theta = some_parameters().to_array()

    def value(t):
        return float(np.sum(g * Pairs(TREE, x, x).covariance(Parameters.from_array(t, 8))[0]))

    slopes = Pairs(TREE, x, x).covariance(Parameters.from_array(theta, 8))[1](g)
    expected = approx_fprime(theta, value, 1e-7)
    np.testing.assert_allclose(slopes.in_lengths(), expected[:8], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(slopes.weights, expected[8:n_parameters], rtol=1e-3, atol=1e-4)
    assert slopes.scale == pytest.approx(expected[-3], rel=1e-3, abs=1e-4)
    assert slopes.coupling == pytest.approx(expected[-2], rel=1e-3, abs=1e-4)


def test_a_flat_process_predicts_as_scikit_learn_does():
    gaussian_process = pytest.importorskip("sklearn.gaussian_process")
    rng = np.random.default_rng(3)
    x, new = rng.random((30, 3)), rng.random((10, 3))
    y = np.sin(4 * x.sum(axis=1))
    lengths, noise = np.array([0.3, 0.5, 1.0]), 1e-4
    matern = gaussian_process.kernels.Matern(lengths, nu=2.5)
    theirs = gaussian_process.GaussianProcessRegressor(matern, alpha=noise, optimizer=None)
    mean, sd = theirs.fit(x, y).predict(new, return_std=True)
    p = Parameters(np.log(lengths), np.zeros(1), 0.0, 0.0, math.log(noise))
    rough = replace(BlockStructure.flat([0, 0, 0]), trend=0.0)
    ours = TreeGP.given(rough, p, x, y, np.full(30, noise))
    got, var = ours.predict(new)
    np.testing.assert_allclose(got, mean, atol=1e-6)
    np.testing.assert_allclose(np.sqrt(var), sd, atol=1e-5)


def test_leaving_one_out_is_what_fitting_without_it_predicts():
    x, y = tree_rows(25)
    p = some_parameters()
    gp = TreeGP.given(TREE, p, x, y, np.full(25, math.exp(p.noise)))
    mean, var = gp.leave_one_out()
    rest = np.arange(25) != 4
    without = TreeGP.given(TREE, p, x[rest], y[rest], gp.noise[rest])
    got, spread = without.predict(x[4:5])
    assert mean[4] == pytest.approx(got[0], abs=1e-6)
    assert var[4] == pytest.approx(spread[0] + math.exp(p.noise), rel=1e-6)


def test_a_fit_raises_the_density_of_what_it_was_not_shown():
    x, y = tree_rows(60)
    mode = Parameters.from_array(HyperparameterPriors().of(TREE)[0], 8)
    before = TreeGP.given(TREE, mode, x, y, np.full(60, math.exp(mode.noise)))
    assert fit(TREE, x, y).leave_one_out_density() > before.leave_one_out_density()


def test_a_category_that_was_never_seen_is_as_far_from_all_others():
    structure = BlockStructure.flat([10_000])
    x = (np.array([[3], [77], [3]]) + 0.5) / 10_000
    p = Parameters(np.zeros(1), np.zeros(1), 0.0, 0.0, -5.0)
    kernel = BlockKernel(structure, x)
    cross = kernel.cross(p, (np.array([[5000.0]]) + 0.5) / 10_000)
    assert np.ptp(cross) == pytest.approx(0.0)
    assert cross[0, 0] == pytest.approx(kernel.covariance(p)[0, 1])


def test_moved_rows_have_the_covariances_and_gradients_of_new_ones():
    rng = np.random.default_rng(5)
    x, _ = tree_rows(30)
    moved = np.where(np.isnan(x), np.nan, rng.random(x.shape))
    moved[:, [1, 7]] = x[:, [1, 7]]  # the branches stay
    p = some_parameters()
    pairs, g = Pairs(TREE, x[:5], x), rng.normal(size=(5, 30))
    pairs.covariance(p)
    pairs.moved(moved[:5])
    k, back = pairs.covariance(p)
    fresh, fresh_back = Pairs(TREE, moved[:5], x).covariance(p)
    np.testing.assert_array_equal(k, fresh)
    np.testing.assert_array_equal(back(g).in_rows(), fresh_back(g).in_rows())
    np.testing.assert_array_equal(back(g).in_lengths(), fresh_back(g).in_lengths())
