"""A law on cells that it did not see: gaps, coverage."""

from __future__ import annotations

import numpy as np
import pytest

from tests.surrogates.scaling.surfaces import CELLS, best, grid, losses
from tunekit_surrogates.scaling import CellSurface, Runs, validate


def test_each_cell_is_held_out_and_its_gap_is_small():
    cells = validate(grid(CELLS))
    assert [(cell.n, cell.d) for cell in cells] == sorted(CELLS, key=lambda c: c[0] * c[1])
    assert max(cell.gap for cell in cells) < 0.003
    assert np.mean([cell.lr_covered and cell.bs_covered for cell in cells]) >= 0.5


def test_intervals_cover_nine_in_ten_of_many_held_out_optima():
    covered = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        parts = []
        for i, cell in enumerate((n, n * r) for n in (1e8, 2e8, 4e8) for r in (15, 40, 100)):
            one = grid([cell], seed=10 * seed + i, noise=1e-3)
            shift = np.exp(rng.normal(0, 0.1, 2))
            parts.append((one.lr * shift[0], one.bs * shift[1], one.n, one.d, one.loss))
        lr, bs, n, d, loss = (np.concatenate(column) for column in zip(*parts, strict=True))
        for cell in validate(Runs.checked(lr, bs, n=n, d=d, loss=loss), method="surface"):
            covered += [cell.lr_covered, cell.bs_covered]
    assert 0.82 <= np.mean(covered) <= 0.98


def test_the_gap_is_the_interpolated_excess_over_the_best_run():
    runs = grid([(1e8, 2e9)], noise=0.0)
    surface = CellSurface(runs)
    i = int(np.argmin(runs.loss))
    assert surface.gap(runs.lr[i], runs.bs[i]) == pytest.approx(0.0, abs=1e-12)
    between = surface.gap(runs.lr[i] * 2**0.25, runs.bs[i])
    beside = losses(runs.lr[i] * 2**0.5, runs.bs[i], n=1e8, d=2e9) / runs.loss[i] - 1.0
    assert between == pytest.approx(beside / 2, rel=1e-6)


def test_a_position_outside_the_runs_counts_as_their_border():
    runs = grid([(1e8, 2e9)])
    surface = CellSurface(runs)
    assert surface.gap(1.0, 1e5) == pytest.approx(surface.gap(runs.lr.max(), 1e5))


def test_a_diverged_run_is_not_interpolated():
    runs = grid([(1e8, 2e9)], noise=0.0)
    rate, batch = best(1e8, 2e9)
    loss = np.where(runs.lr > 2 * rate, np.inf, runs.loss)
    holed = Runs.checked(runs.lr, runs.bs, n=runs.n, d=runs.d, loss=loss)
    assert 0.0 <= CellSurface(holed).gap(4 * rate, batch) < 0.05


def test_a_cell_along_one_line_is_interpolated_by_its_nearest_run():
    runs = grid([(1e8, 2e9)])
    line = runs.where(runs.bs == runs.bs[0])
    assert CellSurface(line).gap(line.lr[2], line.bs[2]) == pytest.approx(
        line.loss[2] / line.loss.min() - 1.0
    )


def test_two_cells_are_too_few_to_hold_one_out():
    with pytest.raises(ValueError, match="holding one out needs three"):
        validate(grid(CELLS[:2]))
