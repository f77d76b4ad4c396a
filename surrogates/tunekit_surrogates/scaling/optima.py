"""The optimum of each cell: the learning rate and batch size that did best at one (N, D)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from tunekit_surrogates.scaling.arrays import Floats, Mask
from tunekit_surrogates.scaling.runs import Runs

OptimumMethod = Literal["plateau", "quadratic", "argmin"]

BAND = 0.0025
"""Relative distance from the best loss of a cell within which runs form its plateau."""

FEWEST_RUNS = 3
"""A cell with fewer finite runs has no optimum."""


@dataclass(frozen=True, slots=True)
class CellOptimum:
    """The optimum of one cell.

    Attributes:
        n: parameters of the cell.
        d: tokens of the cell.
        factor: label of the optimiser or schedule, or "".
        lr: best learning rate.
        bs: best batch size in tokens.
        wd: best weight decay, or None.
        loss: smallest loss of the cell.
        lr_sd: standard error of ln lr.
        bs_sd: standard error of ln bs.
        n_runs: runs of the cell, diverged ones included.
        edges: the axes on which the optimum lies at an end of what was tried: `lr-` and `lr+`
            for the lower and upper end of the learning rates, `bs-` and `bs+` for the batch sizes.
    """

    n: float
    d: float
    factor: str
    lr: float
    bs: float
    wd: float | None
    loss: float
    lr_sd: float
    bs_sd: float
    n_runs: int
    edges: tuple[str, ...]

    @property
    def tau(self) -> float:
        """Time scale of weight decay, `bs / (lr wd D)`; NaN where there is no weight decay."""
        return float("nan") if self.wd is None else self.bs / (self.lr * self.wd * self.d)


def cells_of(runs: Runs) -> list[Mask]:
    """Return a mask for each cell: runs of one (N, D, factor), from small to large compute."""
    labels = np.zeros(len(runs), dtype=int)
    if runs.factor is not None:
        labels = np.unique(runs.factor, return_inverse=True)[1]
    keys = np.column_stack([runs.n, runs.d, labels])
    unique, inverse = np.unique(keys, axis=0, return_inverse=True)
    order = np.argsort(unique[:, 0] * unique[:, 1], kind="stable")
    return [inverse.ravel() == i for i in order]


def cell_optima(
    runs: Runs, *, method: OptimumMethod = "plateau", band: float = BAND
) -> list[CellOptimum]:
    """Return the optimum of every cell with at least three finite runs.

    Args:
        runs: the runs of all cells.
        method: "plateau" takes the mean log position of the runs within `band` of the best,
            "quadratic" the vertex of a quadratic through the runs near the best, and "argmin"
            the best run. Diverged runs are the worst and never part of a fit.
        band: relative distance from the best loss, above 0.

    Raises:
        ValueError: if the method is unknown or the band not above 0.
    """
    if method not in get_args(OptimumMethod):
        raise ValueError(
            f"the optimum of a cell was to be found by '{method}'; choose one of"
            f" {', '.join(get_args(OptimumMethod))}."
        )
    if not band > 0.0:
        raise ValueError(f"the band of the plateau is {band:g}; give a number above 0.")
    optima = []
    for mask in cells_of(runs):
        cell = runs.where(mask)
        if (~cell.diverged).sum() >= FEWEST_RUNS:
            optima.append(_optimum(cell, method=method, band=band))
    return optima


def _optimum(cell: Runs, *, method: OptimumMethod, band: float) -> CellOptimum:
    x = np.log(np.column_stack([cell.lr, cell.bs]))
    best = float(cell.loss.min())
    near = cell.loss <= best * (1.0 + band)
    if method == "argmin":
        near = cell.loss == best
    position = x[near].mean(axis=0)
    if method == "quadratic":
        position = _vertex(cell, x, fallback=position)
    steps = np.array([_step(column) for column in x.T])
    sd = np.sqrt((steps**2 / 12.0 + x[near].var(axis=0)) / near.sum())
    edges = []
    for name, column, at, step in zip(("lr", "bs"), x.T, position, steps, strict=True):
        if step > 0.0 and at < column.min() + step / 2.0:
            edges.append(f"{name}-")
        elif step > 0.0 and at > column.max() - step / 2.0:
            edges.append(f"{name}+")
    return CellOptimum(
        n=float(cell.n[0]),
        d=float(cell.d[0]),
        factor="" if cell.factor is None else str(cell.factor[0]),
        lr=float(np.exp(position[0])),
        bs=float(np.exp(position[1])),
        wd=None if cell.wd is None else float(np.exp(np.log(cell.wd[near]).mean())),
        loss=best,
        lr_sd=float(sd[0]),
        bs_sd=float(sd[1]),
        n_runs=len(cell),
        edges=tuple(edges),
    )


def _step(column: Floats) -> float:
    """Return the median distance between neighbouring values, 0 where there is one value."""
    values = np.unique(np.round(column, 9))
    return float(np.median(np.diff(values))) if len(values) > 1 else 0.0


NEAR = 0.02
"""Relative distance from the best loss within which a quadratic describes a cell."""


def _vertex(cell: Runs, x: Floats, *, fallback: Floats) -> Floats:
    """Return the minimum of a quadratic through the runs near the best, or `fallback`."""
    near = cell.loss <= cell.loss.min() * (1.0 + NEAR)
    points = x[near]
    if len(points) < 8 or np.ptp(points, axis=0).min() == 0.0:
        return fallback
    center = points.mean(axis=0)
    u, v = (points - center).T
    design = np.column_stack([np.ones_like(u), u, v, u * u, u * v, v * v])
    c = np.linalg.lstsq(design, np.log(cell.loss[near]), rcond=None)[0]
    hessian = np.array([[2.0 * c[3], c[4]], [c[4], 2.0 * c[5]]])
    if np.linalg.eigvalsh(hessian)[0] <= 0.0:
        return fallback
    vertex = center - np.linalg.solve(hessian, c[1:3])
    return np.asarray(np.clip(vertex, points.min(axis=0), points.max(axis=0)), dtype=float)
