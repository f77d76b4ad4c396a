"""Figures of losses: the surface of each cell, and the loss over N and D."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tunekit.plots.figure import Axis, Heatmap, Line, Mark, PanelFigure, PlaneFigure, Points
from tunekit.plots.texts import amount, sentences
from tunekit.scaling.law_figures import AXES, D_TITLE, N_TITLE
from tunekit_surrogates.scaling import CellOptimum, CellSurface, LossLaw, Runs
from tunekit_surrogates.scaling.optima import BAND

if TYPE_CHECKING:
    from tunekit.scaling.law import Law

MAX_CELLS = 12
"""Number of cells drawn; of more, some between the smallest and the largest are left out."""

MOST = 3.0
"""Loss excess, in percent, from which a run counts as bad, whatever its loss: the runs that
diverge would hide everything near the best."""

COLUMNS, ROWS = 12, 10
"""Columns and rows of the surface of one cell."""

N_STEPS, D_STEPS = 32, 28
"""Columns and rows of the loss over N and D."""

N_FLOPS = 6
"""Number of lines of equal compute."""


def surfaces_figure(law: Law) -> PanelFigure:
    """Return the loss excess of each cell over learning rate and batch size, with its plateau."""
    title = "loss of each cell over learning rate and batch size"
    optima = list(law.optima)
    if not optima:
        reason = sentences("no cell has enough runs for a surface")
        return PanelFigure(title, reason, (), note="", reason=reason)
    places = np.linspace(0, len(optima) - 1, min(len(optima), MAX_CELLS))
    shown = [optima[round(float(place))] for place in places]
    panels = tuple(_surface(law, optimum) for optimum in shown)
    left_out = "" if len(shown) == len(optima) else f"{len(shown)} of {len(optima)} cells"
    note = sentences(
        left_out,
        "batch size in tokens over learning rate",
        f"the plateau is what lies within {BAND:.2%} of the best run of the cell",
        f"an excess above {MOST:g} % is drawn as {MOST:g} %",
    )
    alt = sentences(
        f"the loss excess of {len(shown)} cells, with the runs of the plateau and the law's choice"
    )
    return PanelFigure(title, alt, panels, note=note)


def loss_figure(law: Law) -> PlaneFigure:
    """Return the loss over N and D as colours, with lines of equal compute.

    The best split of a compute between N and D is the dashed line.
    """
    title = "loss over N and D"
    x, y = Axis(N_TITLE, is_log=True), Axis(D_TITLE, is_log=True)
    fitted = law.fitted.loss
    if fitted is None or fitted.axes != ("n", "d"):
        reason = sentences("the runs do not suffice for a law of the loss over N and D")
        return PlaneFigure(title, reason, x, y, (), note="", reason=reason)
    n = np.geomspace(law.runs.n.min() / 2, law.runs.n.max() * 4, N_STEPS)
    d = np.geomspace(law.runs.d.min() / 2, law.runs.d.max() * 4, D_STEPS)
    z = fitted.loss(*np.meshgrid(n, d))
    grid = Heatmap(
        "loss", "loss", tuple(n.tolist()), tuple(d.tolist()), tuple(map(tuple, z.tolist()))
    )
    flops = np.geomspace(6 * n[0] * d[0], 6 * n[-1] * d[-1], N_FLOPS + 2)[1:-1]
    lines = [_equal_compute(float(c), n, d) for c in flops]
    cells = sorted({(float(a), float(b)) for a, b in zip(law.runs.n, law.runs.d, strict=True)})
    points = Points("cell", tuple([a for a, _ in cells]), tuple([b for _, b in cells]))
    marks: tuple[Mark, ...] = (grid, *lines, _best_split(fitted, flops, n, d), points)
    exponents = ", ".join(
        f"{axis.upper()} {k:.3f}" for axis, k in zip(fitted.axes, fitted.exponents, strict=True)
    )
    alt = sentences(
        f"the loss falls towards {amount(fitted.e)} with the exponents {exponents}; lines join "
        "models of equal compute"
    )
    return PlaneFigure(title, alt, x, y, marks)


def _surface(law: Law, optimum: CellOptimum) -> PlaneFigure:
    runs = _runs_of(law.runs, optimum)
    x = np.geomspace(runs.lr.min(), runs.lr.max(), COLUMNS)
    y = np.geomspace(runs.bs.min(), runs.bs.max(), ROWS)
    surface = CellSurface(runs)
    marks: list[Mark] = []
    if x[0] < x[-1] and y[0] < y[-1]:
        gaps = [[100 * surface.gap(float(a), float(b)) for a in x] for b in y]
        z = tuple(tuple(min(gap, MOST) for gap in row) for row in gaps)
        name = "loss excess in %"
        marks.append(Heatmap(name, name, tuple(x.tolist()), tuple(y.tolist()), z))
    near = runs.loss <= surface.best * (1 + BAND)
    for name, mask, role in (
        ("run of the plateau", near, "best"),
        ("run that diverged", runs.diverged, "diverged"),
    ):
        if mask.any():
            lr, bs = tuple(runs.lr[mask].tolist()), tuple(runs.bs[mask].tolist())
            marks.append(Points(name, lr, bs, role))  # type: ignore[arg-type]
    marks.append(Points("centre of the plateau", (optimum.lr,), (optimum.bs,), "selected"))
    at = law.predict(optimum.n, optimum.d, factor=optimum.factor or None)
    marks.append(Points("law", (at.lr.median,), (at.bs.median,), "model"))
    label = f", {optimum.factor}" if optimum.factor else ""
    title = f"N={amount(optimum.n)}, D={amount(optimum.d)}{label}"
    alt = sentences(
        f"best loss {amount(surface.best)} near a learning rate of {amount(optimum.lr)} and "
        f"{amount(optimum.bs)} tokens a batch"
    )
    lr_axis, bs_axis = Axis(AXES["lr"], is_log=True), Axis(AXES["bs"], is_log=True)
    return PlaneFigure(title, alt, lr_axis, bs_axis, tuple(marks))


def _runs_of(runs: Runs, optimum: CellOptimum) -> Runs:
    mask = (runs.n == optimum.n) & (runs.d == optimum.d)
    if runs.factor is not None:
        mask &= runs.factor == optimum.factor
    return runs.where(mask)


def _equal_compute(flops: float, n: np.ndarray, d: np.ndarray) -> Line:
    """Return the models of a compute that lie within the shown N and D."""
    low = max(float(n[0]), flops / (6 * float(d[-1])))
    high = min(float(n[-1]), flops / (6 * float(d[0])))
    ends = (low, high)
    name = f"{amount(flops)} FLOPs"
    return Line(name, ends, tuple(flops / (6 * a) for a in ends), "reference")


def _best_split(law: LossLaw, flops: np.ndarray, n: np.ndarray, d: np.ndarray) -> Line:
    """Return the N and D of least loss for each compute, as far as they are shown."""
    places = []
    for c in np.geomspace(flops[0], flops[-1], 24):
        along = np.geomspace(n[0], n[-1], 200)
        tokens = c / (6 * along)
        inside = (tokens >= d[0]) & (tokens <= d[-1])
        if inside.any():
            best = int(np.argmin(law.loss(along[inside], tokens[inside])))
            if 0 < best < inside.sum() - 1:
                places.append((float(along[inside][best]), float(tokens[inside][best])))
    return Line(
        "least loss of a compute",
        tuple([a for a, _ in places]),
        tuple([b for _, b in places]),
        "best",
        is_dashed=True,
    )
