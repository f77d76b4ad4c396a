"""Fits the law of learning rate and batch size to finished runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from tunekit_surrogates.scaling.arrays import Floats
from tunekit_surrogates.scaling.bowl import Bowl
from tunekit_surrogates.scaling.cautions import Caution, merged
from tunekit_surrogates.scaling.law import ScalingLaw, design_row
from tunekit_surrogates.scaling.loss_law import LossLaw, fit_loss
from tunekit_surrogates.scaling.optima import CellOptimum, at_edge, cell_optima
from tunekit_surrogates.scaling.priors import Normal, Priors
from tunekit_surrogates.scaling.regression import FLAT, PowerLaw, fit_power_law
from tunekit_surrogates.scaling.runs import Runs

Method = Literal["auto", "cells"]

FEWEST_CELLS = 2


def fit_law(
    runs: Runs,
    *,
    priors: Priors | None = None,
    method: Method = "auto",
    rng: np.random.Generator | None = None,
) -> ScalingLaw:
    """Return the laws of learning rate, batch size and loss that the runs support.

    Raises:
        ValueError: if fewer than two cells have at least three finite runs.
    """
    priors = priors or Priors()
    optima = cell_optima(runs)
    if len(optima) < FEWEST_CELLS:
        raise ValueError(
            f"{len(optima)} cells have three finite runs or more, and a law needs at least"
            f" {FEWEST_CELLS}; run more learning rates and batch sizes at other sizes."
        )
    factors = tuple(sorted({optimum.factor for optimum in optima} - {""}))
    lr = _law(optima, "lr", (priors.lr_n, priors.lr_d), factors)
    bs = _law(optima, "bs", (priors.bs_n, priors.bs_d), factors)
    return ScalingLaw(
        lr=lr,
        bs=bs,
        tau=_tau(optima, priors, factors),
        bowl=Bowl(low=0.004, high=0.02, bs=0.008, lr_bs=priors.lr_bs.mean),
        loss=_loss(optima),
        method="cells",
        factors=factors,
        n_range=(float(runs.n.min()), float(runs.n.max())),
        d_range=(float(runs.d.min()), float(runs.d.max())),
        compute=float((runs.n * runs.d).max()),
        counting=runs.counting,
        cautions=merged(runs.cautions, _doubts(optima)),
    )


def _law(
    optima: Sequence[CellOptimum],
    output: str,
    exponents: tuple[Normal, Normal],
    factors: Sequence[str],
) -> PowerLaw:
    columns = ("1", "n", "d", *(f"factor:{label}" for label in factors[1:]))
    priors = [Normal(0.0, FLAT), *exponents, *[Normal(0.0, 1.0)] * len(factors[1:])]
    rows = np.array([design_row(columns, n=o.n, d=o.d, label=o.factor) for o in optima])
    y = np.log([getattr(o, output) for o in optima])
    sd: Floats = np.array([getattr(o, f"{output}_sd") for o in optima])
    return fit_power_law(rows, y, columns=columns, priors=priors, sd=sd)


def _tau(optima: Sequence[CellOptimum], priors: Priors, factors: Sequence[str]) -> PowerLaw | None:
    decayed = [o for o in optima if o.wd is not None]
    if len(decayed) < FEWEST_CELLS:
        return None
    columns = ("1", "ratio", *(f"factor:{label}" for label in factors[1:]))
    flat = [Normal(0.0, FLAT), priors.tau_ratio, *[Normal(0.0, 1.0)] * len(factors[1:])]
    rows = np.array([design_row(columns, n=o.n, d=o.d, label=o.factor) for o in decayed])
    y = np.log([o.bs / (o.lr * (o.wd or 1.0) * o.d) for o in decayed])
    return fit_power_law(rows, y, columns=columns, priors=flat, sd=np.zeros(len(y)))


def _loss(optima: Sequence[CellOptimum]) -> LossLaw | None:
    if len(optima) < 5:
        return None
    return fit_loss([o.n for o in optima], [o.d for o in optima], loss=[o.loss for o in optima])


def _doubts(optima: Sequence[CellOptimum]) -> list[Caution]:
    cautions = []
    if len(optima) < 4:
        cautions.append(
            Caution(
                "few_cells",
                f"the law rests on {len(optima)} cells; its exponents are mostly the prior's.",
            )
        )
    for axis in ("lr", "bs"):
        edge = at_edge(optima, axis)
        if edge:
            cautions.append(
                Caution(
                    "edge_of_grid",
                    f"the best {axis} lies at an end of what was tried in {edge} of"
                    f" {len(optima)} cells; widen {axis} there.",
                )
            )
    if len({o.n for o in optima}) == 1:
        cautions.append(
            Caution("one_n", "all cells have one N; the exponents of N are the prior's alone.")
        )
    if len({o.d for o in optima}) == 1:
        cautions.append(
            Caution("one_d", "all cells have one D; the exponents of D are the prior's alone.")
        )
    ratios = np.log([o.d / o.n for o in optima])
    if len(optima) > 1 and np.ptp(ratios) < 0.1:
        cautions.append(
            Caution(
                "one_ratio",
                "all cells have one D / N; how the law splits between N and D is the prior's"
                " alone: add a cell of another ratio.",
            )
        )
    return cautions
