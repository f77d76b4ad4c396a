"""The next cells and runs that are worth their compute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tunekit_surrogates.scaling.law import ScalingLaw
from tunekit_surrogates.scaling.runs import Runs

Purpose = Literal["cell", "target"]

STEPS = ((0.0, 0.0), (0.9, 0.0), (-0.9, 0.0), (0.35, 0.9), (-0.35, -0.9))
"""Positions of a cell's runs around the law, in natural logarithms of lr and bs."""


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One run that the plan proposes.

    Attributes:
        n: parameters.
        d: tokens.
        lr: learning rate.
        bs: batch size in tokens.
        flops: its compute, `6 N D`.
        purpose: "cell" to learn the law, "target" to refine its prediction there.
        factor: label of the optimiser or schedule, or "".
    """

    n: float
    d: float
    lr: float
    bs: float
    flops: float
    purpose: Purpose
    factor: str = ""


def next_runs(
    law: ScalingLaw,
    runs: Runs | None = None,
    *,
    budget_flops: float,
    target: tuple[float, float] | None = None,
    cells: Sequence[tuple[float, float]] | None = None,
    runs_per_cell: int = 5,
    factor: str | None = None,
) -> list[PlannedRun]:
    """Return the runs to do next within a budget, from small cells to large ones.

    Args:
        law: the current law; a preset's law serves before the first run.
        runs: what was run already; its cells are not proposed again.
        budget_flops: compute to spend, `6 N D` a run.
        target: the (N, D) that the law is for; runs there come last.
        cells: the (N, D) to choose from; by default a ladder of sizes below the target.
        runs_per_cell: runs in each new cell, 3 to 6.
        factor: label of the optimiser or schedule to plan for.

    Raises:
        ValueError: if the budget is not above 0 or `runs_per_cell` not from 3 to 6.
    """
    if not budget_flops > 0.0:
        raise ValueError(f"the budget is {budget_flops:g} FLOPs; give a number above 0.")
    if not 3 <= runs_per_cell <= 6:
        raise ValueError(f"runs_per_cell is {runs_per_cell}; choose from 3 to 6.")
    known = set() if runs is None else set(zip(runs.n.tolist(), runs.d.tolist(), strict=True))
    ladder = [cell for cell in sorted(cells or [], key=lambda c: c[0] * c[1]) if cell not in known]
    if target is not None:
        ladder = [cell for cell in ladder if cell != target] + [target]
    planned: list[PlannedRun] = []
    left = budget_flops
    for n, d in ladder:
        at = law.predict(n, d, factor=factor)
        purpose: Purpose = "target" if (n, d) == target else "cell"
        for u, v in STEPS[:runs_per_cell]:
            if 6.0 * n * d > left:
                break
            left -= 6.0 * n * d
            lr, bs = at.lr.median * np.exp(u), at.bs.median * np.exp(v)
            planned.append(
                PlannedRun(n, d, float(lr), float(bs), 6.0 * n * d, purpose, factor or "")
            )
    return planned
