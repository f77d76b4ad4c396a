"""Runs that leave something open: an error or a named caution, never a silent exponent."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from tests.surrogates.scaling.surfaces import CELLS, best, grid, losses, scattered
from tunekit_surrogates.scaling import Normal, Priors, Runs, fit_law


def names(law):
    return [caution.name for caution in law.cautions]


def only(runs: Runs, mask) -> Runs:
    return runs.where(np.asarray(mask))


def test_one_cell_is_refused():
    with pytest.raises(ValueError, match="all runs have n=1e"):
        fit_law(grid(CELLS[:1]))


def test_two_cells_give_a_law_that_says_how_few_they_are():
    law = fit_law(grid(CELLS[:2]))
    assert "few_cells" in names(law) and "one_n" in names(law)


@pytest.mark.parametrize("method", ["surface", "cells"])
def test_one_n_leaves_the_prior_of_its_exponent_untouched(method):
    law = fit_law(grid([(1e8, 1e8 * r) for r in (10, 20, 40, 80)]), method=method)
    assert "one_n" in names(law)
    assert law.lr.coefficients["n"] == pytest.approx((-0.5, 0.25), rel=1e-3)
    assert law.bs.coefficients["n"] == pytest.approx((0.0, 0.15), rel=1e-3, abs=1e-6)
    near, far = law.predict(1e8, 4e9).lr, law.predict(1e10, 4e9).lr
    assert far.high90 / far.low90 > 4.0 * near.high90 / near.low90


@pytest.mark.parametrize("method", ["surface", "cells"])
def test_one_d_leaves_the_prior_of_its_exponent_untouched(method):
    law = fit_law(grid([(n, 8e9) for n in (1e8, 2e8, 4e8, 8e8)]), method=method)
    assert "one_d" in names(law)
    assert law.lr.coefficients["d"] == pytest.approx((0.15, 0.2), rel=1e-3)
    assert law.bs.coefficients["d"] == pytest.approx((0.5, 0.15), rel=1e-3)


def test_one_ratio_is_named_and_widens_predictions_at_another():
    law = fit_law(grid([(n, 20 * n) for n in (1e8, 2e8, 4e8, 8e8)]))
    assert names(law) == ["one_ratio"]
    same, other = law.predict(1.6e9, 3.2e10).lr, law.predict(1.6e9, 1.6e12).lr
    assert other.high90 / other.low90 > 1.5 * same.high90 / same.low90


@pytest.mark.parametrize("method", ["threshold", "quadratic"])
def test_least_squares_refuses_an_exponent_that_the_runs_do_not_tell(method):
    runs = grid([(n, 20 * n) for n in (1e8, 2e8, 4e8, 8e8)])
    with pytest.raises(ValueError, match="one D / N, so that least squares cannot tell"):
        fit_law(runs, method=method)


@pytest.mark.parametrize(
    ("axis", "side", "match"),
    [
        ("lr", -1, "best learning rate lies at the upper end .* widen lr upwards"),
        ("lr", 1, "best learning rate lies at the lower end .* widen lr downwards"),
        ("bs", -1, "best batch size lies at the upper end .* widen bs upwards"),
        ("bs", 1, "best batch size lies at the lower end .* widen bs downwards"),
    ],
)
def test_optima_at_the_edge_name_the_axis_to_widen(axis, side, match):
    runs = grid(CELLS)
    rate, batch = best(runs.n, runs.d)
    off = np.log(runs.lr / rate) if axis == "lr" else np.log(runs.bs / batch)
    law = fit_law(only(runs, side * off > 0.4))
    edges = [str(caution) for caution in law.cautions if caution.name == "edge_of_grid"]
    assert len(edges) == 1
    assert re.search(match, edges[0])


def test_one_batch_size_is_named_and_its_law_is_wide():
    runs = grid(CELLS)
    law = fit_law(only(runs, runs.bs == 2.0**18))
    assert "one_setting" in names(law)
    at = law.predict(8e8, 3.2e10)
    assert at.bs.high90 / at.bs.low90 > 10.0


def test_a_metric_that_grows_with_compute_is_refused():
    runs = grid(CELLS)
    accuracy = Runs.checked(runs.lr, runs.bs, n=runs.n, d=runs.d, loss=1.0 / runs.loss)
    with pytest.raises(ValueError, match="grows with its compute"):
        fit_law(accuracy)


def test_all_runs_diverged_are_refused():
    runs = grid(CELLS)
    lost = Runs.checked(runs.lr, runs.bs, n=runs.n, d=runs.d, loss=np.full(len(runs), np.nan))
    with pytest.raises(ValueError, match="0 runs have a finite loss"):
        fit_law(lost)


def test_a_cell_of_diverged_runs_alone_does_not_spoil_the_others():
    runs = grid([*CELLS, (8e8, 16e9)])
    loss = np.where(runs.n == 8e8, np.nan, runs.loss)
    law = fit_law(Runs.checked(runs.lr, runs.bs, n=runs.n, d=runs.d, loss=loss))
    rate = best(8e8, 16e9)[0]
    assert abs(math.log(law.predict(8e8, 16e9).lr.median / rate)) < 0.3


def test_an_unknown_method_names_the_known_ones():
    with pytest.raises(ValueError, match="choose one of auto, surface, cells, threshold"):
        fit_law(grid(CELLS), method="best")


def test_a_prior_without_a_width_is_refused():
    with pytest.raises(ValueError, match="give a finite mean and an sd above 0"):
        Priors(lr_n=Normal(-0.5, 0.0))


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_a_prediction_for_no_model_is_refused(value):
    law = fit_law(grid(CELLS))
    with pytest.raises(ValueError, match="give a finite number above 0"):
        law.predict(value, 1e10)


def test_a_repeated_seed_does_not_count_as_a_cell_of_its_own():
    runs = grid(CELLS)
    twice = {k: np.concatenate([getattr(runs, k)] * 2) for k in ("lr", "bs", "n", "d", "loss")}
    twice["loss"][len(runs) :] *= np.exp(np.random.default_rng(3).normal(0, 3e-4, len(runs)))
    lr, bs = twice.pop("lr"), twice.pop("bs")
    law = fit_law(Runs.checked(lr, bs, **twice))
    first = fit_law(runs).predict(8e8, 3.2e10).lr.median
    assert law.predict(8e8, 3.2e10).lr.median == pytest.approx(first, rel=0.05)


def test_scattered_runs_with_rates_below_the_best_name_the_edge():
    runs = scattered(300)
    rates = np.exp(np.random.default_rng(1).uniform(np.log(1e-5), np.log(3e-4), len(runs)))
    loss = losses(rates, runs.bs, n=runs.n, d=runs.d)
    low = Runs.checked(rates, runs.bs, n=runs.n, d=runs.d, loss=loss)
    edges = [
        c.sentence for c in fit_law(low, method="surface").cautions if c.name == "edge_of_grid"
    ]
    assert [("learning rate" in e, e.endswith("widen lr upwards.")) for e in edges] == [
        (True, True)
    ]
    assert "edge_of_grid" not in names(fit_law(runs, method="surface"))


def test_cells_of_one_compute_are_no_sign_of_a_wrong_direction():
    cells = [(n, 1e18 / n) for n in (1.1e8, 1.7e8, 2.3e8, 3.1e8, 4.7e8)]
    runs = grid(cells)
    compute = runs.n * runs.d
    assert np.ptp(compute) > 0.0  # by rounding
    rising = np.searchsorted(np.unique(compute), compute)  # the loss follows the rounding
    loss = runs.loss / runs.loss.mean() * (1.0 + rising)
    fit_law(Runs.checked(runs.lr, runs.bs, n=runs.n, d=runs.d, loss=loss), method="surface")
