"""Chooses among the methods by how well they foresee the largest cells of the training runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import stdtrit

from tunekit_surrogates.scaling.arrays import Floats, Mask
from tunekit_surrogates.scaling.design import Exponents
from tunekit_surrogates.scaling.gaps import CellSurface
from tunekit_surrogates.scaling.methods import Laws, by_cells, by_quadratic, by_threshold
from tunekit_surrogates.scaling.optima import BAND, OptimumMethod, cell_optima, cells_of
from tunekit_surrogates.scaling.priors import Priors
from tunekit_surrogates.scaling.runs import Runs
from tunekit_surrogates.scaling.surface import Surface, fit_surface

HELD = (3, 5)
"""Fewest and most cells held out in turn; each is foreseen from the smaller ones alone."""

FEWEST = 4
"""Cells that must stay to fit on."""

FEWEST_RUNS = 12
"""A held-out cell with fewer finite runs says too little about a gap."""

FEWEST_ON_PLATEAU = 2.0
"""Runs on the plateau of a cell in the mean.

With fewer the plateau is one point of the grid, where the interpolated losses have their minimum,
too: a method that snaps to the grid would look best.
"""

CLEARLY = 2e-4
"""A relative gap that counts as clearly better: a fiftieth of a percent."""

OTHERS = ("cells", "threshold", "quadratic")


def laws_by(
    method: str,
    runs: Runs,
    *,
    priors: Priors,
    exponents: Exponents,
    surface: Surface,
    optimum: OptimumMethod = "plateau",
    n_bootstraps: int = 0,
    rng: np.random.Generator | None = None,
) -> Laws:
    """Return the laws that one method finds.

    Raises:
        ValueError: if the runs do not suffice for the method.
    """
    if method == "surface":
        return Laws(surface.lr, surface.bs, surface.tau)
    if method == "cells":
        return by_cells(runs, priors=priors, exponents=exponents, optimum=optimum)
    if exponents == "own":
        raise ValueError(
            f"method '{method}' has one set of exponents for all labels; use 'surface' or 'cells'"
            " with exponents='own'."
        )
    if method == "threshold":
        return by_threshold(runs, n_bootstraps=n_bootstraps, rng=rng)
    return by_quadratic(
        runs,
        excess=surface.excess,
        scatter=(surface.lr.scatter, surface.bs.scatter),
        n_bootstraps=n_bootstraps,
        rng=rng,
    )


def chosen_method(runs: Runs, *, priors: Priors, exponents: Exponents) -> str:
    """Return "surface" unless another method foresees the largest cells clearly better.

    Clearly is by more than `CLEARLY` in the mean, and at a level of 5 % in a paired t test of
    the logarithms, in which one cell with a large gap does not decide alone.
    """
    gaps = _gaps(runs, priors=priors, exponents=exponents)
    best, lead = "surface", CLEARLY
    for method in OTHERS:
        theirs = gaps.get(method, np.full(1, np.inf))
        if not np.isfinite(theirs).all():
            continue
        ratio = np.log((gaps["surface"] + CLEARLY) / (theirs + CLEARLY))
        doubt = stdtrit(len(ratio) - 1, 0.95) * ratio.std(ddof=1) / np.sqrt(len(ratio))
        difference = float((gaps["surface"] - theirs).mean())
        if difference > lead and ratio.mean() > doubt:
            best, lead = method, difference
    return best


def _gaps(runs: Runs, *, priors: Priors, exponents: Exponents) -> dict[str, Floats]:
    """Return the gaps of each method on the held-out cells; infinite where a method fails."""
    masks = [mask for mask in cells_of(runs) if cell_optima(runs.where(mask))]
    if not masks or _plateau_size(runs, masks) < FEWEST_ON_PLATEAU:
        return {"surface": np.zeros(0)}
    full = [i for i, m in enumerate(masks) if (~runs.diverged[m]).sum() >= FEWEST_RUNS]
    held = [i for i in full if i >= FEWEST][-HELD[1] :]
    if len(held) < HELD[0]:
        return {"surface": np.zeros(0)}
    gaps: dict[str, list[float]] = {method: [] for method in ("surface", *OTHERS)}
    for i in held:
        smaller = runs.where(np.logical_or.reduce(masks[:i]))
        truth = runs.where(masks[i])
        known = runs.factor is None or str(truth.factor[0]) in smaller.factor  # type: ignore[index,operator]
        if not known:
            return {"surface": np.zeros(0)}
        surface = fit_surface(smaller, priors=priors, exponents=exponents)
        cell = CellSurface(truth)
        for method, theirs in gaps.items():
            try:
                laws = laws_by(
                    method, smaller, priors=priors, exponents=exponents, surface=surface
                )
            except ValueError:
                theirs.append(np.inf)
                continue
            at = (float(truth.n[0]), float(truth.d[0]), _label(truth))
            theirs.append(cell.gap(np.exp(laws.lr.log_mean(*at)), np.exp(laws.bs.log_mean(*at))))
    return {method: np.array(theirs) for method, theirs in gaps.items()}


def _plateau_size(runs: Runs, masks: Sequence[Mask]) -> float:
    """Return how many runs of a cell lie on its plateau in the mean."""
    sizes = [(runs.loss[m] <= runs.loss[m].min() * (1.0 + BAND)).sum() for m in masks]
    return float(np.mean(sizes))


def _label(runs: Runs) -> str:
    return "" if runs.factor is None else str(runs.factor[0])
