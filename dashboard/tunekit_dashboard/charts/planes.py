"""Draws marks over two axes."""

from __future__ import annotations

from tunekit.plots.figure import Axis, Band, Bars, Heatmap, Line, Mark, PlaneFigure, Spans
from tunekit.plots.palette import LOOKS
from tunekit_dashboard.charts.grids import grid_axes, grid_colors
from tunekit_dashboard.charts.marks import Series, series_of, spans_series
from tunekit_dashboard.charts.options import EChart, Option, base, plain, short

_ROW = 28
"""Height of a category of the y axis, in pixels."""
_PLAIN, _LEAST = 380, 160
MANY_BANDS, MANY_LINES = 2, 6
"""Marks of a kind beyond which the legend does not list them."""


def draw_plane(figure: PlaneFigure) -> EChart:
    """Return points, lines, bands, bars, grids and spans over two axes."""
    made: list[Series] = []
    for i, mark in enumerate(figure.marks):
        made += series_of(mark, figure, str(i))
    if spans := [m for m in figure.marks if isinstance(m, Spans)]:
        made += spans_series(spans, figure.x)
    grid = next((m for m in figure.marks if isinstance(m, Heatmap)), None)
    names = _legend(figure.marks)
    is_listed = bool(figure.y.categories) and any(
        isinstance(m, Bars | Spans) for m in figure.marks
    )
    has_bars = any(isinstance(m, Bars) for m in figure.marks)  # they start at zero
    # Rows of a list are read from the top; a category axis counts from the bottom.
    y = _axis(figure.y, name_gap=52, scale=True) | ({"inverse": True} if is_listed else {})
    option = base(figure.title) | {
        "grid": {"left": 40, "right": 90 if grid else 24, "top": 40 if len(names) > 1 else 18,
                 "bottom": 30, "containLabel": True},
        "xAxis": [_axis(figure.x, name_gap=30, scale=not has_bars)],
        "yAxis": [y],
        "series": [s.option for s in made],
    }  # fmt: skip
    if len(names) > 1:
        option["legend"] = {"top": 0, "type": "scroll", "data": names}
    if grid is not None:
        x_axes, y_axes = grid_axes(grid, figure, option["xAxis"][0], option["yAxis"][0])
        for axis in (x_axes[0], y_axes[0]):
            axis["splitLine"] = {"show": False}
        option |= {"xAxis": x_axes, "yAxis": y_axes, "visualMap": grid_colors(grid, made)}
    if not is_listed and grid is None:
        option["dataZoom"] = [{"type": "inside", "filterMode": "none"}]
    option["useUTC"] = True  # as the notes of figures say
    height = max(_LEAST, _ROW * len(figure.y.categories) + 90) if is_listed else _PLAIN
    return EChart(option, tuple(s.picks for s in made), height)


def _axis(axis: Axis, *, name_gap: int, scale: bool) -> Option:
    common: Option = {
        "name": short(axis.title), "nameLocation": "middle", "nameGap": name_gap,
        "nameTextStyle": {"width": 360, "overflow": "truncate"},
    }  # fmt: skip
    if axis.categories:
        label = {"width": 180, "overflow": "truncate", "interval": 0, "hideOverlap": True}
        texts = [short(text) for text in axis.categories]
        return common | {"type": "category", "data": texts, "axisLabel": label, "name": ""}
    ends = {"min": plain(axis.low), "max": plain(axis.high)}
    common |= {name: end for name, end in ends.items() if end is not None}
    if axis.low is not None or axis.high is not None:  # ends of a range are no round numbers
        common["axisLabel"] = {"showMinLabel": False, "showMaxLabel": False}
    if axis.is_time:
        return common | {"type": "time"}
    if axis.is_log:
        return common | {"type": "log", "minorSplitLine": {"show": False}}
    return common | {"type": "value", "scale": scale, "splitNumber": 4}


def _legend(marks: tuple[Mark, ...]) -> list[str]:
    """Return the names of marks, each once, in their order."""
    names: dict[str, None] = {}
    n_bands = sum(isinstance(m, Band) for m in marks)
    n_single = sum(isinstance(m, Line) and m.number is not None for m in marks)
    for mark in marks:
        # Of many bands and single curves the legend would fill the chart; tooltips name them.
        is_one_of_many = (isinstance(mark, Band) and n_bands > MANY_BANDS) or (
            isinstance(mark, Line) and mark.number is not None and n_single > MANY_LINES
        )
        if isinstance(mark, Heatmap) or is_one_of_many:
            continue
        names[short(mark.name) or LOOKS[mark.role].name] = None
    return list(names)
