"""Regret against values computed by hand, and random search as its own yardstick."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import rankdata

from tunekit.bench.episode import SamplerProposer, play
from tunekit.bench.pools import kept_pool, random_losses
from tunekit.bench.problem import Problem
from tunekit.bench.regret import LossScale, best_so_far, interval, normalised, ranks, scale_of
from tunekit.errors import InvalidArgument
from tunekit.samplers.random import RandomSampler
from tunekit.spaces import Float, Space
from tunekit.testing.problems import two


def scale(medians, *, best=0.0, nothing=10.0):
    return LossScale(best, True, tuple(medians), nothing, 100, 0)


def test_regret_is_the_distance_to_the_best_over_that_of_the_random_median():
    # best so far 4, 4, 1, 1; random medians 8, 4, 2, 2; best known -1
    got = normalised([4.0, 5.0, 1.0, 9.0], scale([8, 4, 2, 2], best=-1.0))
    assert got == pytest.approx([5 / 9, 5 / 5, 2 / 3, 2 / 3])


def test_beating_the_reference_gives_a_negative_regret():
    assert normalised([-1.0], scale([2.0])) == pytest.approx([-0.5])


def test_failed_trials_do_not_improve_and_a_short_run_keeps_its_best():
    got = best_so_far([None, 3.0, None, 2.0], 6, nothing=10.0)
    assert got.tolist() == [10, 3, 3, 2, 2, 2]


def test_a_median_that_reached_the_best_keeps_the_yardstick_before_it():
    got = normalised([3.0, 3.0, 1.5], scale([6.0, 3.0, 0.0]))
    assert got == pytest.approx([0.5, 1.0, 0.5])


def test_the_median_of_random_runs_is_that_of_the_least_of_t_draws():
    pool = np.random.default_rng(0).random(20_000)
    medians = scale_of(pool, n_trials=40).medians
    # The least of t uniform draws has the median 1 - 2^(-1/t).
    expected = 1 - 0.5 ** (1 / np.arange(1, 41))
    assert np.allclose(medians, expected, rtol=0.12)


def test_failed_random_points_count_as_nothing_yet():
    got = scale_of(np.array([np.nan] * 60 + [1.0] * 20 + [2.0] * 20), n_trials=2, best_known=0.0)
    assert got.n_failed == 60
    assert got.nothing == 2.0
    assert got.medians == (2.0, 2.0)  # with p .36 both draws fail, with p .64 at least one is 1, 2
    assert scale_of(np.array([1.0, 2.0]), n_trials=1).best == 1.0


@pytest.mark.parametrize("pool", [[np.nan, np.nan], [3.0, 3.0, np.nan]])
def test_a_problem_without_differences_has_no_scale(pool):
    with pytest.raises(InvalidArgument, match="random points have a result"):
        scale_of(np.array(pool), n_trials=3)


@pytest.mark.parametrize("problem", two(), ids=lambda p: p.name)
def test_the_regret_of_random_search_itself_is_about_one(problem):
    yardstick = scale_of(random_losses(problem, range(20_000)), n_trials=20, best_known=0.0)
    curves = []
    for seed in range(400):
        run = play(problem, SamplerProposer(RandomSampler()), n_trials=20, seed=seed)
        curves.append(normalised(run.exact, yardstick))
    # The median of 400 such minima has a relative standard error of about 7 %.
    assert np.allclose(np.median(curves, axis=0), 1.0, atol=0.25)


def test_ranks_share_ties_as_scipy_does():
    values = np.array([[3.0, 1.0, 2.0, 1.0], [5.0, 5.0, 5.0, 5.0]])
    assert ranks(values).tolist() == [rankdata(row).tolist() for row in values]


def test_the_interval_covers_the_mean_and_shrinks_with_more_seeds():
    rng = np.random.default_rng(1)
    few, many = [[rng.normal(2, 1, n) for _ in range(3)] for n in (5, 100)]
    (low, high), (low_many, high_many) = interval(few), interval(many)
    assert low < np.mean([v.mean() for v in few]) < high
    assert high_many - low_many < (high - low) / 2
    assert interval([np.array([1.0]), np.array([3.0])]) == (2.0, 2.0)


def test_a_kept_pool_is_read_again_unless_the_problem_has_changed(tmp_path):
    calls = []

    def evaluate(params, shift=0.0):
        calls.append(params)
        return float(params["x"]) + shift

    space = Space(x=Float(0, 1))
    path = tmp_path / "pools" / "p.npy"
    first = kept_pool(Problem("t/x", space, evaluate), 50, path=path)
    assert len(calls) == 50
    again = kept_pool(Problem("t/x", space, evaluate), 50, path=path)
    assert len(calls) == 53 and np.array_equal(first, again)
    shifted = kept_pool(Problem("t/x", space, lambda p: evaluate(p, 1.0)), 50, path=path)
    assert np.allclose(shifted, first + 1)
    assert [p.name for p in path.parent.iterdir()] == ["p.npy"]
