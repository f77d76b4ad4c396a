"""Draws the axes of figures with Plotly."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from tunekit.plots.figure import Axis, Values
from tunekit.plots.plotly_texts import plain

MARGIN = 0.03
"""Room for marks at the ends of a range, as a share of it."""


def layout_of(axis: Axis, *, is_y: bool = False) -> dict[str, Any]:
    """Return an axis as Plotly's layout has it; categories of y run from top to bottom."""
    layout: dict[str, Any] = {"title": {"text": plain(axis.title)}, "automargin": True}
    if axis.categories:
        ends = (-0.5, len(axis.categories) - 0.5)
        layout |= {
            "tickmode": "array",
            "tickvals": list(range(len(axis.categories))),
            "ticktext": [plain(text) for text in axis.categories],
            "range": list(reversed(ends)) if is_y else list(ends),
        }
        return layout
    layout["exponentformat"] = "power"
    layout["type"] = "date" if axis.is_time else "log" if axis.is_log else "linear"
    if axis.low is not None and axis.high is not None:
        layout["range"] = _range(axis, axis.low, axis.high)
    elif axis.low is not None and not axis.is_log:
        layout["rangemode"] = "tozero"
    return layout


def places(axis: Axis, values: Values) -> list[Any]:
    """Return values as Plotly draws them along an axis: times as texts in UTC."""
    if not axis.is_time:
        return list(values)
    return [None if v is None else moment(v) for v in values]


def moment(seconds: float) -> str:
    """Return a time for Plotly, which knows no zones: in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def edges(axis: Axis, values: Values) -> list[float]:
    """Return the `n + 1` edges of cells around their `n` centres."""
    centres = [0.0 if v is None else v for v in values]
    if axis.is_log:
        return [math.exp(v) for v in _edges([math.log(c) for c in centres])]
    return _edges(centres)


def _edges(centres: list[float]) -> list[float]:
    if len(centres) == 1:
        return [centres[0] - 0.5, centres[0] + 0.5]
    inner = [a / 2 + b / 2 for a, b in pairwise(centres)]
    return [2 * centres[0] - inner[0], *inner, 2 * centres[-1] - inner[-1]]


def _range(axis: Axis, low: float, high: float) -> list[Any]:
    if axis.is_log:
        low, high = math.log10(low), math.log10(high)
    room = MARGIN * (high - low)
    ends = [low - room, high + room]
    return [moment(v) for v in ends] if axis.is_time else ends
