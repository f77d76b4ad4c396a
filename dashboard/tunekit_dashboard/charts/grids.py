"""Draws colours over a grid, with further marks at their exact places upon it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tunekit.plots.figure import Axis, Heatmap, PlaneFigure
from tunekit.plots.palette import SCALE
from tunekit_dashboard.charts.options import Option, finite, plain, short


class HasOption(Protocol):
    """Has the option of a series."""

    @property
    def option(self) -> Option:
        """Return the option."""


def heatmap(mark: Heatmap) -> Option:
    """Return the series of a grid, on the second pair of axes, which counts cells."""
    cells = [
        [column, row, plain(value)]
        for row, values in enumerate(mark.z)
        for column, value in enumerate(values)
        if plain(value) is not None
    ]
    return {
        "type": "heatmap", "name": short(mark.title), "data": cells, "z": 0,
        "xAxisIndex": 1, "yAxisIndex": 1, "dimensions": ["column", "row", short(mark.title)],
        "encode": {"x": 0, "y": 1, "value": 2, "tooltip": [2]}, "progressive": 0,
    }  # fmt: skip


def grid_axes(
    mark: Heatmap, figure: PlaneFigure, x: Option, y: Option
) -> tuple[list[Option], list[Option]]:
    """Return the axes with numbers, which end at the grid's edges, and behind them its cells."""
    return (
        [x | _ends(mark.x, figure.x), _cells(len(mark.x))],
        [y | _ends(mark.y, figure.y), _cells(len(mark.y))],
    )


def grid_colors(mark: Heatmap, series: Sequence[HasOption]) -> Option:
    """Return the scale of colours beside a grid; it leaves the colours of other marks alone."""
    known = finite(value for row in mark.z for value in row)
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    colors = list(reversed(SCALE)) if mark.lower_is_better else list(SCALE)
    places = [i for i, s in enumerate(series) if s.option["type"] == "heatmap"]
    return {
        "type": "continuous", "min": plain(low), "max": plain(high if high > low else low + 1.0),
        "dimension": 2, "seriesIndex": places, "inRange": {"color": colors},
        "orient": "vertical", "right": 0, "top": "middle", "itemHeight": 180, "precision": 3,
        "calculable": False, "text": [f"{high:.4g}", f"{low:.4g}"],
    }  # fmt: skip


def _cells(n: int) -> Option:
    return {"type": "category", "data": [str(i) for i in range(n)], "show": False}


def _ends(centres: Sequence[float | None], axis: Axis) -> Option:
    """Return the range from the outer edge of the first cell to that of the last one."""
    known = finite(centres)
    if axis.categories or not known:
        return {}
    if len(known) == 1:
        half = abs(known[0]) / 2 or 0.5
        return {"min": known[0] - half, "max": known[0] + half}
    first, last = known[0], known[-1]
    if axis.is_log and first > 0:
        step = (last / first) ** (0.5 / (len(known) - 1))
        return {"min": plain(first / step), "max": plain(last * step)}
    half = (last - first) / (len(known) - 1) / 2
    return {"min": plain(first - half), "max": plain(last + half)}
