"""The ways to find laws: surface, cells, threshold and quadratic, factors, weight decay."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.surrogates.scaling.surfaces import BS, CELLS, LR, best, grid, losses, scattered
from tunekit_surrogates.scaling import Normal, Priors, Runs, cell_optima, fit_law
from tunekit_surrogates.scaling.choice import chosen_method


def with_columns(runs: Runs, **columns) -> Runs:
    """Return the runs with some columns replaced, checked again."""
    given = {"lr": runs.lr, "bs": runs.bs, "n": runs.n, "d": runs.d, "loss": runs.loss} | columns
    return Runs.checked(given.pop("lr"), given.pop("bs"), **given)


@pytest.mark.parametrize("method", ["auto", "surface", "cells", "threshold", "quadratic"])
def test_every_method_finds_the_optimum_of_a_larger_cell(method):
    law = fit_law(grid(CELLS), method=method, priors=Priors.none(), n_bootstraps=50)
    at = law.predict(8e8, 3.2e10)
    rate, batch = best(8e8, 3.2e10)
    assert abs(math.log(at.lr.median / rate)) < 0.35
    assert abs(math.log(at.bs.median / batch)) < 0.35
    assert method in ("auto", law.method)


@pytest.mark.parametrize("optimum", ["plateau", "quadratic", "argmin"])
def test_the_optimum_of_a_cell_is_near_the_truth(optimum):
    for found in cell_optima(grid(CELLS), method=optimum):
        rate, batch = best(found.n, found.d)
        assert abs(math.log(found.lr / rate)) < 0.4
        assert abs(math.log(found.bs / batch)) < 0.6


def test_the_quadratic_is_exact_on_a_quadratic_surface():
    runs = grid(CELLS, noise=0.0)
    rate, batch = best(runs.n, runs.d)
    u, v = np.log(runs.lr / rate), np.log(runs.bs / batch)
    bowl = 0.006 * (u - 0.4 * v) ** 2 + 0.004 * v**2
    loss = np.exp(1.0 - 0.05 * np.log(runs.n) - 0.04 * np.log(runs.d) + bowl)
    law = fit_law(with_columns(runs, loss=loss), method="quadratic", n_bootstraps=10)
    assert law.lr.coefficients["n"][0] == pytest.approx(LR[1], abs=0.01)
    assert law.lr.coefficients["d"][0] == pytest.approx(LR[2], abs=0.01)
    assert law.bs.coefficients["d"][0] == pytest.approx(BS[2], abs=0.01)


def test_scattered_runs_of_which_no_cell_repeats_count_as_well_as_a_grid():
    law = fit_law(scattered(150))
    assert law.method == "surface"
    assert [caution.name for caution in law.cautions] == ["scattered_runs"]
    rate, batch = best(1e9, 4e10)
    at = law.predict(1e9, 4e10)
    assert abs(math.log(at.lr.median / rate)) < 0.35
    assert abs(math.log(at.bs.median / batch)) < 0.35
    assert at.loss.median == pytest.approx(losses(rate, batch, n=1e9, d=4e10), rel=0.01)


def test_diverged_runs_bound_the_rate_and_are_never_interpolated():
    clean = grid(CELLS)
    rate, _ = best(clean.n, clean.d)
    hot = clean.lr > 2.5 * rate
    diverged = with_columns(clean, loss=np.where(hot, np.nan, clean.loss))
    blown_up = with_columns(clean, loss=np.where(hot, 1e4, clean.loss))
    laws = [fit_law(runs, method="surface") for runs in (clean, diverged, blown_up)]
    rates = [law.predict(8e8, 3.2e10).lr.median for law in laws]
    assert rates[1] == pytest.approx(rates[2], rel=0.02)
    assert rates[1] == pytest.approx(rates[0], rel=0.15)
    for optimum in cell_optima(diverged, method="quadratic"):
        assert optimum.lr < 2.5 * best(optimum.n, optimum.d)[0]


def test_labels_of_a_factor_have_their_own_intercepts():
    muon_lr = (LR[0] + math.log(8.0), *LR[1:])
    adamw, muon = grid(CELLS), grid(CELLS, seed=1, centre_lr=muon_lr, true_lr=muon_lr)
    both = {
        name: np.concatenate([getattr(adamw, name), getattr(muon, name)])
        for name in ("lr", "bs", "n", "d", "loss")
    }
    both["loss"][len(adamw) :] *= 0.97
    law = fit_law(
        with_columns(adamw, **both, factor=["adamw"] * len(adamw) + ["muon"] * len(muon))
    )
    first, second = (law.predict(8e8, 3.2e10, factor=f) for f in ("adamw", "muon"))
    assert second.lr.median / first.lr.median == pytest.approx(8.0, rel=0.15)
    assert second.bs.median / first.bs.median == pytest.approx(1.0, rel=0.2)
    assert second.loss.median / first.loss.median == pytest.approx(0.97, abs=0.004)
    with pytest.raises(ValueError, match="choose one of them"):
        law.predict(8e8, 3.2e10)


def test_labels_of_a_factor_may_have_their_own_exponents():
    other = (LR[0], -0.2, 0.1)
    one, two = grid(CELLS), grid(CELLS, seed=1, centre_lr=other, true_lr=other)
    both = {
        name: np.concatenate([getattr(one, name), getattr(two, name)])
        for name in ("lr", "bs", "n", "d", "loss")
    }
    runs = with_columns(one, **both, factor=["a"] * len(one) + ["b"] * len(two))
    law = fit_law(runs, exponents="own", priors=Priors.none())
    assert law.lr.coefficients["n|a"][0] == pytest.approx(LR[1], abs=0.12)
    assert law.lr.coefficients["n|b"][0] == pytest.approx(-0.2, abs=0.12)
    with pytest.raises(ValueError, match="one set of exponents for all labels"):
        fit_law(runs, exponents="own", method="threshold")


def test_weight_decay_follows_through_its_time_scale():
    rng = np.random.default_rng(0)
    runs = grid(CELLS)
    decayed = with_columns(
        runs,
        wd=10 ** rng.uniform(-3, 0, len(runs)),
    )
    ratio = decayed.d / decayed.n
    tau = decayed.bs / (decayed.lr * decayed.wd * decayed.d)
    off = np.log(tau / (1.1 * ratio**-0.53))
    runs = with_columns(runs, wd=decayed.wd, loss=runs.loss * np.exp(0.003 * off**2))
    for method in ("surface", "cells"):
        law = fit_law(runs, method=method)
        at = law.predict(8e8, 3.2e10)
        right = at.bs.median / (at.lr.median * 3.2e10 * 1.1 * 40**-0.53)
        assert at.wd is not None
        assert at.wd.low90 < right < at.wd.high90
        assert law.tau.coefficients["ratio"][0] == pytest.approx(-0.53, abs=0.25)


def test_a_batch_that_is_decided_moves_the_rate_along_the_valley():
    law = fit_law(grid(CELLS))
    free = law.predict(8e8, 3.2e10)
    half = law.predict(8e8, 3.2e10, bs=free.bs.median / 2)
    assert half.bs.median == half.bs.low90 == free.bs.median / 2
    assert half.lr.median / free.lr.median == pytest.approx(0.5**0.4, rel=0.12)


def test_priors_of_a_user_hold_where_the_runs_are_silent():
    runs = grid([(1e8, 2e9), (1e8, 4e9), (1e8, 8e9), (1e8, 16e9)])
    law = fit_law(runs, priors=Priors(lr_n=Normal(-0.9, 0.05)))
    assert law.lr.coefficients["n"] == pytest.approx((-0.9, 0.05), rel=0.02)
    assert "one_n" in [caution.name for caution in law.cautions]
    flat = fit_law(runs, priors=Priors.none())
    assert flat.lr.coefficients["n"][1] > 100.0


def test_the_choice_among_methods_looks_at_the_training_cells_alone():
    runs = grid([(n, n * r) for n in (1e8, 2e8, 4e8) for r in (20, 40, 80)])
    assert chosen_method(runs, priors=Priors(), exponents="shared") == "surface"
    misled = Priors(lr_n=Normal(1.0, 0.005), lr_d=Normal(-1.0, 0.005))
    assert chosen_method(runs, priors=misled, exponents="shared") in ("threshold", "quadratic")


def test_the_same_runs_give_the_same_law():
    first, second = fit_law(grid(CELLS)), fit_law(grid(CELLS))
    assert first.to_dict() == second.to_dict()


def test_noisy_scattered_runs_of_tiny_models_of_which_a_third_diverge_still_give_the_law():
    rng = np.random.default_rng(0)
    lost = []
    for _ in range(6):
        n = np.exp(rng.uniform(np.log(1e4), np.log(5e5), 60))
        d = n * np.exp(rng.uniform(np.log(15), np.log(250), 60))
        rate, batch = 1e-2 * (n / 1e5) ** -0.5, 5e3 * (d / 5e6) ** 0.5
        u, v = rng.uniform(-2.5, 2.5, 60), rng.uniform(-2.0, 2.0, 60)
        loss = (1.0 + 9.0 / n**0.25 + 40.0 / d**0.3) * np.exp(0.08 * (u * u + v * v))
        loss *= np.exp(rng.normal(0.0, 0.01, 60))
        runs = Runs.checked(
            rate * np.exp(u), batch * np.exp(v), n=n, d=d, loss=np.where(u > 1.0, np.nan, loss)
        )
        at = fit_law(runs).predict(1e6, 5e7)
        off_u = math.log(at.lr.median / (1e-2 * 10**-0.5))
        off_v = math.log(at.bs.median / (5e3 * 10**0.5))
        lost.append(0.08 * (off_u**2 + off_v**2))
    assert np.mean(lost) < 0.01


def test_a_plateau_of_one_run_a_cell_neither_wins_the_choice_nor_passes_for_exact():
    """On coarse grids over steep losses the best run stays one point while its optimum moves."""
    lr, bs = 3e-3 * 2.0 ** np.arange(-4, 4), 65536 * 2.0 ** np.arange(-3, 4)
    axes = np.meshgrid(lr, bs, (1e6, 4e6, 16e6), (1e8, 4e8, 16e8), indexing="ij")
    lr, bs, n, d = (axis.ravel() for axis in axes)
    u = np.log(lr / 3e-3) + 0.5 * np.log(n / 4e6) - 0.2 * np.log(d / 4e8)
    v = np.log(bs / 65536) - 0.5 * np.log(d / 4e8)
    loss = (1.7 + 400 / n**0.34 + 400 / d**0.28) * (1 + 0.2 * (u - 0.4 * v) ** 2 + 0.1 * v**2)
    runs = Runs.checked(lr, bs, n=n, d=d, loss=loss)
    law = fit_law(runs)
    assert law.method == "surface"
    assert law.lr.coefficients["d"][0] == pytest.approx(0.2, abs=0.05)
    snapped = fit_law(runs, method="threshold")
    assert snapped.lr.coefficients["d"][0] == pytest.approx(0.0, abs=0.01)
    at = snapped.predict(64e6, 64e8).lr
    assert at.high90 > 2 * at.low90  # as coarse as the grid, where all resamples agree


def test_a_label_may_hold_a_bar():
    runs = grid(CELLS)
    slow = with_columns(runs, factor=["adamw"] * len(runs))
    columns = {c: np.tile(getattr(runs, c), 2) for c in ("bs", "n", "d", "loss")}
    labels = [*slow.factor, *(["muon|wsd"] * len(runs))]
    both = with_columns(runs, lr=np.concatenate([runs.lr, 3 * runs.lr]), factor=labels, **columns)
    law = fit_law(both, method="surface")
    rates = [law.predict(4e8, 2e10, factor=label).lr.median for label in law.factors]
    assert rates[1] / rates[0] == pytest.approx(3, rel=0.02)
