"""The next cells and runs that are worth their compute."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tunekit_surrogates.scaling.arrays import Floats
from tunekit_surrogates.scaling.law import ScalingLaw
from tunekit_surrogates.scaling.regression import PowerLaw
from tunekit_surrogates.scaling.runs import Runs

Purpose = Literal["cell", "target"]
Scale = tuple[float, float]
"""N and D of a cell."""

MISFIT = 0.3
"""Error of the shape of the bowl as a share of the excess; see `descent`."""

POSITION_SD = 0.5
"""What one run of a cell tells about its optimum, in natural logarithms."""

RATIOS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Ratios D / N of the ladder, relative to the target's."""


def _circle(n_runs: int, first: float, *, with_centre: bool) -> tuple[tuple[float, float], ...]:
    """Return directions spread evenly over a circle, from an angle in turns."""
    angles = 2.0 * np.pi * (first + np.arange(n_runs) / n_runs)
    around = zip(np.cos(angles).tolist(), np.sin(angles).tolist(), strict=True)
    return (((0.0, 0.0),) if with_centre else ()) + tuple(around)


WAYS = {
    1: _circle(0, 0.0, with_centre=True),
    2: _circle(2, 0.0, with_centre=False),
    3: _circle(3, 0.25, with_centre=False),
    4: _circle(4, 0.125, with_centre=False),
    5: _circle(4, 0.0, with_centre=True),
    6: _circle(5, 0.0, with_centre=True),
}
"""Directions of a cell's runs from its expected optimum by their number: along the rate, then
along the batch."""


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One run that the plan proposes.

    Attributes:
        n: parameters.
        d: tokens.
        lr: learning rate.
        bs: batch size in tokens.
        wd: weight decay, or None where the law has none.
        flops: its compute, `6 N D`.
        purpose: "cell" to learn the law, "target" to refine its prediction there.
        factor: label of the optimiser or schedule, or "".
    """

    n: float
    d: float
    lr: float
    bs: float
    wd: float | None
    flops: float
    purpose: Purpose
    factor: str = ""


def next_runs(
    law: ScalingLaw,
    runs: Runs | None = None,
    *,
    budget_flops: float,
    target: Scale | None = None,
    cells: Sequence[Scale] | None = None,
    max_runs: int = 40,
    runs_per_cell: int = 5,
    runs_at_target: int = 5,
    factor: str | None = None,
) -> list[PlannedRun]:
    """Return the runs to do next within a budget, from small cells to large ones.

    A cell is worth by how much the expected loss at the target falls when its optimum is known,
    for each share of the budget and of the number of runs that it takes. Its runs lie around the
    law, at the distance at which a loss tells most about the optimum. The runs at the target
    come last, where they fit the budget. Plan again after each cell for the best use of it.

    Args:
        law: the current law; `PRESETS["deepseek"].law(n, d)` serves before the first run.
        runs: what was run already; cells with enough runs are not proposed again.
        budget_flops: compute to spend, `6 N D` a run.
        target: the (N, D) that the law is for; without one, the mean over `cells`.
        cells: the (N, D) to choose from; by default a ladder of sizes below the target.
        max_runs: most runs to propose.
        runs_per_cell: runs in each cell, 3 to 6.
        runs_at_target: runs at the target, 0 to 5.
        factor: label of the optimiser or schedule to plan for.

    Raises:
        ValueError: if the budget, N or D is not above 0, a count is out of its range, or neither
            target nor cells are given.
    """
    _check(budget_flops, max_runs=max_runs, per_cell=runs_per_cell, at_target=runs_at_target)
    if target is None and not cells:
        raise ValueError("neither a target nor cells are given; give one (N, D) at least.")
    for cell in [*(cells or []), *([] if target is None else [target])]:
        _check_scale(cell)
    counts = _counts(runs, factor)
    reserve = 0 if target is None else max(0, runs_at_target - counts.get(target, 0))
    left, n_left = budget_flops, max_runs
    if target is not None:
        reserve = min(reserve, int(left / _flops(target)), n_left)
        left, n_left = left - reserve * _flops(target), n_left - reserve
    ladder = [cell for cell in (cells or _ladder(target, left)) if cell != target]
    open_cells = [cell for cell in ladder if counts.get(cell, 0) < runs_per_cell]
    chosen = _worthwhile(
        law,
        open_cells,
        aims=list(cells or []) if target is None else [target],
        budget=left,
        max_runs=n_left,
        per_cell=runs_per_cell,
        factor=factor,
    )
    planned = []
    for cell in sorted(chosen, key=_flops):
        planned += _around(law, cell, runs_per_cell, purpose="cell", factor=factor)
    if target is not None and reserve:
        planned += _around(law, target, reserve, purpose="target", factor=factor)
    return planned


def _check(budget: float, *, max_runs: int, per_cell: int, at_target: int) -> None:
    if not (budget > 0.0 and math.isfinite(budget)):
        raise ValueError(f"the budget is {budget:g} FLOPs; give a finite number above 0.")
    for name, value, low, high in (
        ("max_runs", max_runs, 1, 100_000),
        ("runs_per_cell", per_cell, 3, 6),
        ("runs_at_target", at_target, 0, 5),
    ):
        if not low <= value <= high:
            raise ValueError(f"{name} is {value}; choose from {low} to {high}.")


def _check_scale(cell: Scale) -> None:
    for name, value in zip(("n", "d"), cell, strict=True):
        if not (math.isfinite(value) and value > 0.0):
            raise ValueError(f"{name} is {value:g}; give a finite number above 0.")


def _flops(cell: Scale) -> float:
    return 6.0 * cell[0] * cell[1]


def _counts(runs: Runs | None, factor: str | None) -> dict[Scale, int]:
    """Return how many runs each cell has."""
    counts: dict[Scale, int] = {}
    if runs is not None:
        labels = [None] * len(runs) if runs.factor is None else runs.factor.tolist()
        for n, d, label in zip(runs.n.tolist(), runs.d.tolist(), labels, strict=True):
            if factor is None or label in (None, factor):
                counts[n, d] = counts.get((n, d), 0) + 1
    return counts


def _ladder(target: Scale | None, budget: float) -> list[Scale]:
    """Return cells of sizes below the target, each affordable with a third of the budget."""
    assert target is not None
    n, ratio = target[0], target[1] / target[0]
    cells = []
    for halvings in range(1, 21):
        size = n / 2.0**halvings
        for factor in RATIOS:
            cell = (size, size * ratio * factor)
            if 5.0 * _flops(cell) <= budget / 3.0 and size > 1e5:
                cells.append(cell)
    return cells


def _worthwhile(
    law: ScalingLaw,
    cells: Sequence[Scale],
    *,
    aims: Sequence[Scale],
    budget: float,
    max_runs: int,
    per_cell: int,
    factor: str | None,
) -> list[Scale]:
    """Return cells picked one by one, each the best for its share of budget and runs."""
    label = law.label(factor)
    beliefs = [
        _Belief(one, aims, label, curved)
        for one, curved in zip((law.lr, law.bs), np.diag(law.bowl.hessian).tolist(), strict=True)
    ]
    left, n_left = budget, max_runs
    chosen: list[Scale] = []
    while True:
        worths = {}
        for cell in cells:
            cost = per_cell * _flops(cell)
            if cell not in chosen and cost <= left and per_cell <= n_left:
                gain = sum(belief.gain(cell, per_cell) for belief in beliefs)
                worths[cell] = gain / (cost / budget + per_cell / max_runs)
        best = max(worths, key=lambda cell: worths[cell], default=None)
        if best is None:
            return chosen
        chosen.append(best)
        left, n_left = left - per_cell * _flops(best), n_left - per_cell
        for belief in beliefs:
            belief.learn(best, per_cell)


class _Belief:
    """How well a law is known, and what the optimum of a cell would add."""

    def __init__(self, law: PowerLaw, aims: Sequence[Scale], label: str, curved: float) -> None:
        self._law = law
        self._label = label
        self._curved = curved
        self._cov = law.cov.copy()
        self._aims = np.array([law.design.row(*aim, label) for aim in aims])

    def gain(self, cell: Scale, n_runs: int) -> float:
        """Return by how much the expected loss excess at the aims falls."""
        told = self._aims @ self._told(cell, n_runs)
        return float(0.5 * self._curved * np.mean(told**2))

    def learn(self, cell: Scale, n_runs: int) -> None:
        """Take the optimum of a cell as known."""
        told = self._told(cell, n_runs)
        self._cov = self._cov - np.outer(told, told)

    def _told(self, cell: Scale, n_runs: int) -> Floats:
        """Return the vector whose outer product is what the cell takes off the covariance."""
        row = self._law.design.row(*cell, self._label)
        seen = self._cov @ row
        noise = self._law.scatter**2 + POSITION_SD**2 / n_runs
        return np.asarray(seen / math.sqrt(row @ seen + noise))


def _around(
    law: ScalingLaw, cell: Scale, n_runs: int, *, purpose: Purpose, factor: str | None
) -> list[PlannedRun]:
    """Return runs around the expected optimum of a cell."""
    at = law.predict(*cell, factor=factor)
    label = law.label(factor)
    step_u, step_v = _steps(law, cell, label, purpose)
    planned = []
    for way_u, way_v in WAYS[n_runs]:
        v = way_v * step_v
        u = law.bowl.best_u(v) + way_u * step_u
        lr, bs = at.lr.median * math.exp(u), at.bs.median * math.exp(v)
        wd = None
        if law.tau is not None:
            wd = bs / (lr * cell[1] * math.exp(law.tau.log_mean(*cell, label)))
        planned.append(PlannedRun(*cell, lr, bs, wd, _flops(cell), purpose, label))
    return planned


def _steps(law: ScalingLaw, cell: Scale, label: str, purpose: Purpose) -> tuple[float, float]:
    """Return the distances of the runs in ln lr and ln bs.

    Far from the optimum the slope tells more, but the shape is known less: the slope over the
    error is largest where the excess is the noise over `MISFIT`. At the target, whose best run
    is to be used, the runs lie as far as the prediction is uncertain.
    """
    sds = (law.lr.log_sd(*cell, label), law.bs.log_sd(*cell, label))
    if purpose == "target":
        return float(np.clip(sds[0], 0.2, 0.7)), float(np.clip(sds[1], 0.2, 0.7))
    hessian = law.bowl.hessian
    bs_curved = hessian[1, 1] - hessian[0, 1] ** 2 / hessian[0, 0]
    tells = math.sqrt(2.0 * law.noise / MISFIT)
    steps = [tells / math.sqrt(hessian[0, 0]), tells / math.sqrt(bs_curved)]
    pairs = zip(steps, sds, strict=True)
    steps = [float(np.clip(math.hypot(step, sd), 0.4, 1.5)) for step, sd in pairs]
    return steps[0], steps[1]
