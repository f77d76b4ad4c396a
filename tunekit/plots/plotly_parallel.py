"""Draws parallel coordinates with Plotly, with a lane for parameters that are not active."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from tunekit.plots.figure import ParallelAxis, ParallelFigure
from tunekit.plots.plotly_marks import scale
from tunekit.plots.plotly_texts import plain
from tunekit.plots.tables import INACTIVE
from tunekit.plots.texts import amount

LANE = 0.12
"""Distance of the lane from the range, as a share of the range."""
MAX_TICKS = 12
N_TICKS = 5


def parallel_trace(figure: ParallelFigure) -> Any:
    """Return the lines of the trials, coloured by their results."""
    results = _Scaled(figure.axes[-1])
    return go.Parcoords(
        dimensions=[_dimension(axis) for axis in figure.axes],
        line={
            "color": results.values,
            "colorscale": scale(lower_is_better=figure.lower_is_better),
            "cmin": results.low,
            "cmax": results.high,
            "showscale": False,
        },
        labelangle=-20,
        labelside="top",
    )


class _Scaled:
    """The values of an axis on the linear scale that Plotly draws.

    Attributes:
        values: logarithms on a logarithmic axis; beyond the shown range its end.
        low, high: the range.
    """

    def __init__(self, axis: ParallelAxis) -> None:
        self.is_log = axis.axis.is_log
        values = [None if v is None else self.scaled(v) for v in axis.values]
        known = [v for v in values if v is not None] or [0.0]
        self.low, self.high = min(known), max(known)
        if axis.axis.categories:
            self.low, self.high = 0.0, max(len(axis.axis.categories) - 1.0, 1.0)
        elif axis.axis.low is not None and axis.axis.high is not None:
            self.low, self.high = self.scaled(axis.axis.low), self.scaled(axis.axis.high)
        if self.low == self.high:
            room = abs(self.low) / 10 or 1.0
            self.low, self.high = self.low - room, self.high + room
        self.lane = self.low - LANE * (self.high - self.low)
        self.has_gaps = None in values
        self.values = [
            self.lane if v is None else min(max(v, self.low), self.high) for v in values
        ]

    def scaled(self, value: float) -> float:
        return math.log10(value) if self.is_log else value


def _dimension(axis: ParallelAxis) -> dict[str, Any]:
    scaled = _Scaled(axis)
    at, texts = _ticks(axis, scaled)
    low = scaled.low
    if scaled.has_gaps:
        at, texts, low = [scaled.lane, *at], [INACTIVE, *texts], scaled.lane
    return {
        "label": plain(axis.axis.title),
        "values": scaled.values,
        "range": [low, scaled.high],
        "tickvals": at,
        "ticktext": texts,
    }


def _ticks(axis: ParallelAxis, scaled: _Scaled) -> tuple[list[float], list[str]]:
    categories = axis.axis.categories
    if categories:
        at = range(0, len(categories), math.ceil(len(categories) / MAX_TICKS))
        # Plotly sets these texts, unlike all others, without reading tags or entities in them.
        return [float(i) for i in at], [categories[i] for i in at]
    if scaled.is_log and (decades := _decades(scaled.low, scaled.high)):
        return decades, [amount(10.0**v) for v in decades]
    span = scaled.high - scaled.low
    places = [scaled.low + span * i / (N_TICKS - 1) for i in range(N_TICKS)]
    if (
        not scaled.is_log
        and span < MAX_TICKS
        and all(v is None or v.is_integer() for v in axis.values)
    ):
        places = [float(v) for v in range(math.ceil(scaled.low), math.floor(scaled.high) + 1)]
    return places, [amount(10.0**v if scaled.is_log else v) for v in places]


def _decades(low: float, high: float) -> list[float]:
    """Return whole powers of ten within a range, if there are enough for ticks."""
    first, last = math.ceil(low - 1e-9), math.floor(high + 1e-9)
    if last - first < 2:
        return []
    step = math.ceil((last - first) / MAX_TICKS)
    return [float(v) for v in range(first, last + 1, step)]


def left_margin(axes: Sequence[ParallelAxis]) -> int:
    """Return the pixels that the texts of the first axis need."""
    longest = max((len(text) for text in axes[0].axis.categories), default=0)
    return 80 + 6 * min(longest, 30)
