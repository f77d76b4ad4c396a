"""Judges a law on cells that it did not see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tunekit_surrogates.scaling.fit import Method, fit_law
from tunekit_surrogates.scaling.gaps import CellSurface
from tunekit_surrogates.scaling.law import Interval, ScalingLaw
from tunekit_surrogates.scaling.optima import CellOptimum, cell_optima, cells_of
from tunekit_surrogates.scaling.priors import Priors
from tunekit_surrogates.scaling.runs import Runs


@dataclass(frozen=True, slots=True)
class CellGap:
    """How far a law was off on one held-out cell.

    Attributes:
        n: parameters of the cell.
        d: tokens of the cell.
        factor: label of the optimiser or schedule, or "".
        lr: predicted learning rate.
        bs: predicted batch size in tokens.
        gap: relative loss excess of the prediction over the best run, interpolated.
        lr_covered: whether the 90 % interval of lr holds the centre of the plateau.
        bs_covered: whether the 90 % interval of bs does.
    """

    n: float
    d: float
    factor: str
    lr: float
    bs: float
    gap: float
    lr_covered: bool
    bs_covered: bool


def validate(
    runs: Runs,
    *,
    priors: Priors | None = None,
    method: Method = "auto",
    rng: np.random.Generator | None = None,
    fit: Callable[..., ScalingLaw] = fit_law,
) -> list[CellGap]:
    """Return the gap of each cell under the law of all other cells, from small to large.

    Raises:
        ValueError: if fewer than three cells can be held out.
    """
    masks = [mask for mask in cells_of(runs) if cell_optima(runs.where(mask))]
    if len(masks) < 3:
        raise ValueError(
            f"{len(masks)} cells have three finite runs or more, and holding one out needs three;"
            " add cells."
        )
    gaps = []
    for mask in masks:
        law = fit(runs.where(~mask), priors=priors, method=method, rng=rng)
        gaps.append(_gap(law, runs.where(mask)))
    return gaps


def _gap(law: ScalingLaw, held: Runs) -> CellGap:
    truth = cell_optima(held)[0]
    at = law.predict(truth.n, truth.d, factor=truth.factor or None)
    return CellGap(
        n=truth.n,
        d=truth.d,
        factor=truth.factor,
        lr=at.lr.median,
        bs=at.bs.median,
        gap=CellSurface(held).gap(at.lr.median, at.bs.median),
        lr_covered=_covers(at.lr, truth, "lr"),
        bs_covered=_covers(at.bs, truth, "bs"),
    )


def _covers(interval: Interval, truth: CellOptimum, axis: str) -> bool:
    return bool(interval.low90 <= getattr(truth, axis) <= interval.high90)
