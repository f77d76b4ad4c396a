"""Replays experiments on a table of finished runs: what a law sees, and what it misses."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tunekit_surrogates.scaling import (
    PRESETS,
    CellSurface,
    PlannedRun,
    Runs,
    ScalingLaw,
    fit_law,
    next_runs,
)
from tunekit_surrogates.scaling.optima import cells_of

Predictor = Callable[[float, float], tuple[float, float]]
"""N and D -> learning rate and batch size."""

AMPLE = 1e30
"""A budget in FLOPs that does not bind: only the number of runs does."""


def read(path: Path, *, sequence_length: int) -> Runs:
    """Return the runs of a CSV file with columns lr, bs (in sequences), N, D and a loss."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    loss = "smooth loss" if "smooth loss" in rows[0] else "loss"
    columns = {name: [float(row[name]) for row in rows] for name in ("lr", "bs", "N", "D", loss)}
    return Runs.checked(
        columns["lr"],
        columns["bs"],
        n=columns["N"],
        d=columns["D"],
        loss=columns[loss],
        sequence_length=sequence_length,
    )


class Table:
    """The cells of a table, from small to large compute, with the truth of each."""

    def __init__(self, runs: Runs) -> None:
        self.cells = [runs.where(mask) for mask in cells_of(runs)]
        self.scales = [(float(cell.n[0]), float(cell.d[0])) for cell in self.cells]
        self.surfaces = [CellSurface(cell) for cell in self.cells]

    def of(self, positions: Sequence[int]) -> Runs:
        """Return the runs of some cells."""
        return joined([self.cells[i] for i in positions])

    def gaps(self, law: Predictor, positions: Sequence[int]) -> list[float]:
        """Return the gap of a law on each of some cells, in percent."""
        return [100.0 * self.surfaces[i].gap(*law(*self.scales[i])) for i in positions]

    def nearest(self, planned: Sequence[PlannedRun], seen: set[tuple[int, int]]) -> Runs | None:
        """Return for each planned run the nearest of its cell that was not seen yet."""
        found = []
        for run in planned:
            i = self.scales.index((run.n, run.d))
            cell = self.cells[i]
            off = np.abs(np.log(cell.lr / run.lr)) + np.abs(np.log(cell.bs / run.bs))
            for j in np.argsort(off, kind="stable").tolist():
                if (i, j) not in seen:
                    seen.add((i, j))
                    found.append(cell.where(np.array([j])))
                    break
        return joined(found) if found else None


def joined(parts: Sequence[Runs]) -> Runs:
    """Return the runs of several parts as one."""
    return Runs(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS),
        cautions=parts[0].cautions,
    )


_COLUMNS = ("lr", "bs", "n", "d", "loss")


def predictor(law: ScalingLaw) -> Predictor:
    """Return the medians of a law."""

    def at(n: float, d: float) -> tuple[float, float]:
        return math.exp(law.lr.log_mean(n, d)), math.exp(law.bs.log_mean(n, d))

    return at


def planned_law(
    table: Table, candidates: Sequence[int], *, start: str, n_runs: int, per_cell: int = 5
) -> tuple[ScalingLaw, int]:
    """Return the law after the plan's runs were looked up, cell after cell, and their number."""
    scales = [table.scales[i] for i in candidates]
    middle = np.exp(np.log(table.scales).mean(axis=0)).tolist()
    law = PRESETS[start].law(*middle)
    runs: Runs | None = None
    seen: set[tuple[int, int]] = set()
    while runs is None or len(runs) + per_cell <= n_runs:
        planned = next_runs(
            law,
            runs,
            budget_flops=AMPLE,
            cells=scales,
            max_runs=per_cell,
            runs_per_cell=per_cell,
        )
        new = table.nearest(planned, seen)
        if new is None:
            break
        runs = new if runs is None else joined([runs, new])
        if len(set(zip(runs.n.tolist(), runs.d.tolist(), strict=True))) > 1:
            law = fit_law(runs)
    assert runs is not None
    return law, len(runs)


def best_of_five(table: Table, i: int, law: ScalingLaw) -> float:
    """Return the gap, in percent, of the best of five runs that the plan puts into cell `i`."""
    planned = next_runs(law, budget_flops=AMPLE, target=table.scales[i], cells=[], max_runs=5)
    runs = table.nearest(planned, set())
    assert runs is not None
    return 100.0 * (float(runs.loss.min()) / table.surfaces[i].best - 1.0)
