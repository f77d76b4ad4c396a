"""Fits the joint surface: all runs at once, whether or not cells repeat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tunekit_surrogates.scaling.arrays import Floats, Mask
from tunekit_surrogates.scaling.bowl import Bowl
from tunekit_surrogates.scaling.descent import LevenbergMarquardt
from tunekit_surrogates.scaling.design import Design, Exponents
from tunekit_surrogates.scaling.loss_law import LossLaw
from tunekit_surrogates.scaling.optima import BAND
from tunekit_surrogates.scaling.priors import Priors
from tunekit_surrogates.scaling.regression import PowerLaw
from tunekit_surrogates.scaling.runs import Runs
from tunekit_surrogates.scaling.surface_model import StartingPoint, SurfaceModel

CELL_RUNS = 8
"""A cell with fewer finite runs has no plateau."""

USUAL_SCATTER = 0.12
"""Usual distance of the centre of a cell's plateau from the law, in natural logarithms."""

PRIOR_CELLS = 2.0
"""Number of cells that the usual scatter counts as."""


@dataclass(frozen=True, slots=True)
class Surface:
    """The posterior of the joint surface.

    Attributes:
        lr: law of the best learning rate.
        bs: law of the best batch size.
        tau: law of weight decay's time scale `bs / (lr wd D)`, or None.
        bowl: how the loss grows beside the optimum.
        noise: standard deviation of ln L between runs near the optimum.
        base: `(k,)` ln L at the optimum of each run's cell.
        excess: `(k,)` excess of each run's ln L over that.
        loss: law of the loss at the optimum.
        loss_offsets: offset of ln L by label of the factor, that of the first being 0.
    """

    lr: PowerLaw
    bs: PowerLaw
    tau: PowerLaw | None
    bowl: Bowl
    noise: float
    base: Floats
    excess: Floats
    loss: LossLaw
    loss_offsets: dict[str, float]


def fit_surface(
    runs: Runs, *, priors: Priors | None = None, exponents: Exponents = "shared"
) -> Surface:
    """Return the posterior of laws and bowl under all runs, by Laplace's approximation.

    Args:
        runs: at least three finite runs.
        priors: priors on the exponents.
        exponents: whether the labels of a factor share their exponents.

    Raises:
        ValueError: if fewer than three runs are finite.
    """
    if (~runs.diverged).sum() < 3:
        raise ValueError(
            f"{(~runs.diverged).sum()} runs have a finite loss, and a surface needs at least"
            " three; add runs that do not diverge."
        )
    priors = priors or Priors()
    model = SurfaceModel(runs, exponents=exponents)
    model.lay_out(priors, _start(model, priors))
    descent = LevenbergMarquardt(model, priors)
    p, cov = descent.run()
    parts = model.parts(p)
    dof = max(float(model.cell.max()), 4.0)

    def law(block: str, design: Design, scatter: float) -> PowerLaw:
        at = model.slices[block]
        return PowerLaw(design, p[at], cov[at, at], scatter, dof)

    seen = _scatters(model, p)
    return Surface(
        lr=law("lr", model.lr, seen[0]),
        bs=law("bs", model.lr, seen[1]),
        tau=None if model.tau is None else law("tau", model.tau, float(np.hypot(*seen))),
        bowl=model.bowl(p),
        noise=descent.noise,
        base=parts.base,
        excess=model.y - parts.base,
        loss=_loss_law(model, p, cov, descent.noise),
        loss_offsets=dict(
            zip(model.labels, [0.0, *p[model.slices["base_offset"]].tolist()], strict=True)
        ),
    )


def _scatters(model: SurfaceModel, p: Floats) -> tuple[float, float]:
    """Return how far the centres of the cells' plateaus lie from the laws, in logarithms.

    This is what an interval has to hold: the scatter of the cells and the noise of an optimum.
    """
    plateau = _plateau(model)
    cells, position = np.unique(model.cell[plateau], return_inverse=True)
    counts = np.bincount(position, minlength=len(cells))
    scatters = []
    for axis, block in enumerate(("lr", "bs")):
        off = model.x[:, axis] - model.rows @ p[model.slices[block]]
        centre = np.bincount(position, off[plateau], minlength=len(cells)) / counts
        total = PRIOR_CELLS * USUAL_SCATTER**2 + centre @ centre
        scatters.append(float(np.sqrt(total / (PRIOR_CELLS + len(cells)))))
    return scatters[0], scatters[1]


def _plateau(model: SurfaceModel, *, least: int = CELL_RUNS) -> Mask:
    """Return the runs on the plateau of a cell that has enough runs for one."""
    lowest = np.full(model.cell.max() + 1, np.inf)
    np.minimum.at(lowest, model.cell, model.y)
    counts = np.bincount(model.cell[np.isfinite(model.y)], minlength=len(lowest))
    return (counts[model.cell] >= least) & (model.y <= lowest[model.cell] + BAND)


def _loss_law(model: SurfaceModel, p: Floats, cov: Floats, noise: float) -> LossLaw:
    """Return the law of the base, from logarithms centred on the runs to absolute ones."""
    at = model.slices["base"]
    to_absolute = np.eye(5)
    to_absolute[1, 3], to_absolute[2, 4] = np.log(model.lr.n), np.log(model.lr.d)
    absolute = to_absolute @ p[at]
    return LossLaw(
        axes=("n", "d"),
        e=float(np.exp(absolute[0])),
        log_a=absolute[1:3],
        exponents=absolute[3:5],
        draws=np.empty((0, 5)),
        noise=float(np.hypot(noise, _cell_spread(p[model.slices["cell_base"]]))),
        cov=to_absolute @ cov[at, at] @ to_absolute.T,
    )


def _cell_spread(offsets: Floats) -> float:
    return float(np.sqrt(np.mean(offsets**2))) if len(offsets) else 0.0


def _start(model: SurfaceModel, priors: Priors) -> StartingPoint:
    """Return where the intercepts start: at the runs that are low for their scale."""
    low = _low_for_scale(model)
    lr_slope = np.array([prior.mean for prior in model.lr.priors(n=priors.lr_n, d=priors.lr_d)])
    bs_slope = np.array([prior.mean for prior in model.lr.priors(n=priors.bs_n, d=priors.bs_d)])
    tau = 0.0
    if model.tau is not None:
        slope = np.array([prior.mean for prior in model.tau.priors(ratio=priors.tau_ratio)])
        tau = float((model.log_tau - model.tau_rows @ slope)[low].mean())
    return StartingPoint(
        lr=float((model.x[:, 0] - model.rows @ lr_slope)[low].mean()),
        bs=float((model.x[:, 1] - model.rows @ bs_slope)[low].mean()),
        tau=tau,
        loss=float(model.y[low].mean()),
        low=low,
    )


def _low_for_scale(model: SurfaceModel) -> Mask:
    """Return the best runs of the cells, or runs low for their scale where cells are rare."""
    finite = np.isfinite(model.y)
    plateau = _plateau(model, least=3)
    in_cells = np.isin(model.cell, model.cell[plateau])
    if in_cells.mean() >= 0.5 and len(np.unique(model.cell[plateau])) >= 2:
        return plateau
    chosen = finite
    rows = np.column_stack([np.ones(len(model.y)), model.scale])
    for _ in range(5):
        line = np.linalg.lstsq(rows[chosen], model.y[chosen], rcond=None)[0]
        above = model.y - rows @ line
        chosen = finite & (above <= np.quantile(above[finite], 0.3))
    return chosen
