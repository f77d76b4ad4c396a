"""Figures of a law: the optima it rests on, and what it says far outside of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tunekit.plots.figure import Axis, Band, Line, Mark, PanelFigure, PlaneFigure, Points
from tunekit.plots.texts import amount, sentences
from tunekit_surrogates.scaling import CellOptimum, Interval, Prediction, ScalingLaw

if TYPE_CHECKING:
    from tunekit.scaling.law import Law

STEPS = 40
"""Places along a drawn law."""

BEYOND = 1.5
"""Factor by which a law is drawn beyond the runs on each side."""

N_TITLE, D_TITLE, FLOPS_TITLE = "parameters N", "training tokens D", "training compute in FLOPs"
TITLES = {"lr": "learning rate", "bs": "batch size", "loss": "loss"}
AXES = {**TITLES, "bs": "batch size in tokens"}


def optima_figure(law: Law, *, factor: str | None = None) -> PanelFigure:
    """Return the best learning rate and batch size of the cells over N and D, with the law.

    A cell has an N and a D. Over one of them, its optimum is carried along the law to the middle
    of the other, so that all cells can be compared with one line.
    """
    label = _label(law, factor)
    optima = [o for o in law.optima if o.factor == label]
    title = "optimum of each cell and the law" + (f", {label}" if label else "")
    if not optima:
        reason = sentences("no cell has enough runs for an optimum of its own")
        return PanelFigure(title, reason, (), note="", reason=reason)
    middle = (_middle([o.n for o in optima]), _middle([o.d for o in optima]))
    panels = tuple(
        _optima_panel(law.fitted, optima, role, axis, middle, label)
        for role in ("lr", "bs")
        for axis in ("n", "d")
    )
    at_edge = sum(bool(o.edges) for o in optima)
    note = sentences(
        "the band is the 90 % interval of a new cell",
        f"{at_edge} of {len(optima)} optima lie at the edge of what was tried" if at_edge else "",
    )
    return PanelFigure(title, sentences(*(p.alt.rstrip(".") for p in panels)), panels, note=note)


def extrapolation_figure(
    law: Law, n: float | None = None, d: float | None = None, *, factor: str | None = None
) -> PanelFigure:
    """Return learning rate, batch size and loss from the smallest cell to a predicted one.

    The way leads over compute at the predicted cell's D / N; the optima of the cells are carried
    to it along the law.
    """
    label = _label(law, factor)
    at = law.predict(n, d, factor=label or None)
    ratio = at.d / at.n
    path = _Path(law.fitted, ratio, label)
    optima = [o for o in law.optima if o.factor == label]
    end = 6.0 * at.n * at.d
    start = min([*law.runs.flops.tolist(), end / 10])
    computes = np.geomspace(start, end, STEPS)
    predictions = [path.predict(c) for c in computes]
    roles = ["lr", "bs", *([] if law.fitted.loss is None else ["loss"])]
    panels = tuple(
        _extrapolation_panel(role, computes, predictions, at, path, optima) for role in roles
    )
    title = f"from the runs to N={amount(at.n)}, D={amount(at.d)}"
    far = at.extrapolation
    reach = "" if far is None else f", {amount(far)} x the largest compute of the runs"
    note = sentences(f"at D / N = {amount(ratio)}{reach}")
    return PanelFigure(title, sentences(*(p.alt.rstrip(".") for p in panels)), panels, note=note)


@dataclass(frozen=True, slots=True)
class _Path:
    """The cells of one D / N, by their compute."""

    law: ScalingLaw
    ratio: float
    label: str

    def cell(self, flops: float) -> tuple[float, float]:
        """Return the (N, D) of a compute."""
        n = math.sqrt(flops / (6.0 * self.ratio))
        return n, self.ratio * n

    def predict(self, flops: float) -> Prediction:
        """Return the prediction at a compute."""
        return self.law.predict(*self.cell(flops), factor=self.label or None)

    def carried(self, optimum: CellOptimum, role: str) -> float:
        """Return the optimum of a cell, carried along the law to this path at its compute."""
        here = self.law.predict(optimum.n, optimum.d, factor=self.label or None)
        there = self.predict(6.0 * optimum.n * optimum.d)
        return float(
            getattr(optimum, role) * getattr(there, role).median / getattr(here, role).median
        )


def _optima_panel(
    law: ScalingLaw,
    optima: Sequence[CellOptimum],
    role: str,
    axis: str,
    middle: tuple[float, float],
    label: str,
) -> PlaneFigure:
    values = [getattr(o, axis) for o in optima]
    other = "d" if axis == "n" else "n"
    fixed = middle[1] if axis == "n" else middle[0]

    def at(value: float) -> Interval:
        cell = (value, fixed) if axis == "n" else (fixed, value)
        found: Interval = getattr(law.predict(*cell, factor=label or None), role)
        return found

    def carried(o: CellOptimum) -> float:
        own: Interval = getattr(law.predict(o.n, o.d, factor=label or None), role)
        return float(getattr(o, role) * at(getattr(o, axis)).median / own.median)

    x = np.geomspace(min(values) / BEYOND, max(values) * BEYOND, STEPS).tolist()
    marks = (
        *_law_marks(x, [at(v) for v in x]),
        *_points("optimum of a cell", optima, lambda o: getattr(o, axis), carried),
    )
    slope = _slope(at, min(values), max(values))
    name = TITLES[role]
    alt = f"the best {name} goes with {axis.upper()} to the power {slope:.2f}"
    title = f"{name} over {axis.upper()} at {other.upper()}={amount(fixed)}"
    x_axis = Axis(N_TITLE if axis == "n" else D_TITLE, is_log=True)
    return PlaneFigure(title, sentences(alt), x_axis, Axis(AXES[role], is_log=True), marks)


def _slope(at: Callable[[float], Interval], low: float, high: float) -> float:
    high = high if high > low else 2 * low
    return math.log(at(high).median / at(low).median) / math.log(high / low)


def _extrapolation_panel(
    role: str,
    computes: NDArray[np.float64],
    predictions: Sequence[Prediction],
    at: Prediction,
    path: _Path,
    optima: Sequence[CellOptimum],
) -> PlaneFigure:
    marks = [
        *_law_marks(computes.tolist(), [getattr(p, role) for p in predictions]),
        *_points(
            "optimum of a cell",
            optima,
            lambda o: 6.0 * o.n * o.d,
            lambda o: path.carried(o, role),
        ),
    ]
    there: Interval = getattr(at, role)
    target = (6.0 * at.n * at.d,)
    marks.append(Points("prediction", target, (there.median,), "selected"))
    name = TITLES[role]
    alt = (
        f"the {name} is predicted as {amount(there.median)}, with 90 % between "
        f"{amount(there.low90)} and {amount(there.high90)}"
    )
    y = Axis(AXES[role], is_log=role != "loss")
    title = f"{name} over compute"
    return PlaneFigure(title, sentences(alt), Axis(FLOPS_TITLE, is_log=True), y, tuple(marks))


def _law_marks(x: list[float], values: Sequence[Interval]) -> list[Mark]:
    places = tuple(x)
    return [
        Band(
            "90 % interval",
            places,
            tuple([v.low90 for v in values]),
            tuple([v.high90 for v in values]),
            "reference",
        ),
        Band(
            "50 % interval",
            places,
            tuple([v.low50 for v in values]),
            tuple([v.high50 for v in values]),
            "model",
        ),
        Line("law", places, tuple([v.median for v in values]), "model"),
    ]


def _points(
    name: str,
    optima: Sequence[CellOptimum],
    x: Callable[[CellOptimum], float],
    y: Callable[[CellOptimum], float],
) -> list[Mark]:
    marks: list[Mark] = []
    for is_edge, text in ((False, name), (True, "optimum at the edge of what was tried")):
        some = [o for o in optima if bool(o.edges) == is_edge]
        if some:
            places = tuple([float(x(o)) for o in some])
            role = "stopped" if is_edge else "complete"
            marks.append(Points(text, places, tuple([y(o) for o in some]), role))  # type: ignore[arg-type]
    return marks


def _label(law: Law, factor: str | None) -> str:
    """Return the label to draw: the given one, or the first of the runs'."""
    if factor is None:
        return law.fitted.factors[0] if law.fitted.factors else ""
    law.predict(1e6, 1e9, factor=factor)  # refuses a label that the runs do not have
    return factor


def _middle(values: Sequence[float]) -> float:
    return float(np.exp(np.mean(np.log(values))))
