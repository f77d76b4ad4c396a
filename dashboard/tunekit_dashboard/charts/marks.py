"""Turns the marks of a plane into series of ECharts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tunekit.plots.figure import Axis, Band, Bars, Heatmap, Line, Mark, PlaneFigure, Points, Spans
from tunekit.plots.palette import LOOKS, Look
from tunekit_dashboard.charts.grids import heatmap
from tunekit_dashboard.charts.options import Option, plain, short, symbol

_FAINT = 0.5
_FEW = 30
"""Points of the best that stand out by their size."""
_MS = 1000.0
"""ECharts counts time in milliseconds."""


@dataclass(frozen=True, slots=True)
class Series:
    """One series, and what each of its data stands for."""

    option: Option
    picks: tuple[int | None, ...] = ()


def series_of(mark: Mark, figure: PlaneFigure, key: str) -> list[Series]:
    """Return the series of a mark.

    Args:
        mark: one of the figure's.
        figure: has the axes.
        key: unique among the figure's marks.
    """
    match mark:
        case Points():
            return [_points(mark, figure)]
        case Line():
            return [_line(mark, figure)]
        case Band():
            return _band(mark, figure, key)
        case Bars():
            return [_bars(mark)]
        case Heatmap():
            return [Series(heatmap(mark))]
        case Spans():
            return []  # all of them together make one series


def _points(mark: Points, figure: PlaneFigure) -> Series:
    look = LOOKS[mark.role]
    xs, ys = coordinates(mark.x, figure.x), coordinates(mark.y, figure.y)
    rows: list[list[float | None]] = [[x, y] for x, y in zip(xs, ys, strict=True)]
    names = [_dimension(figure.x), _dimension(figure.y)]
    shown = [0, 1]
    if mark.numbers:
        rows = [[*row, n] for row, n in zip(rows, mark.numbers, strict=True)]
        names, shown = [*names, {"name": "trial", "type": "number"}], [2, 0, 1]
    is_best = mark.role == "best" and len(mark.x) <= _FEW
    option = {
        "type": "scatter", "name": _name(mark.name, look), "data": rows, "dimensions": names,
        "encode": {"x": 0, "y": 1, "tooltip": shown}, "symbol": symbol(look),
        "symbolSize": 14 if is_best else 6 if mark.is_faint else 8, "z": 5 if is_best else 3,
        "itemStyle": {"color": look.color, "opacity": _FAINT if mark.is_faint else 0.85},
        "clip": True,
    }  # fmt: skip
    if mark.numbers:
        option["selectedMode"] = "single"
        option["select"] = {"itemStyle": {"borderColor": look.color, "borderWidth": 4}}
    return Series(option, tuple(mark.numbers))


def _line(mark: Line, figure: PlaneFigure) -> Series:
    look = LOOKS[mark.role]
    xs, ys = coordinates(mark.x, figure.x), coordinates(mark.y, figure.y)
    rows = [[x, y] for x, y in zip(xs, ys, strict=True)]
    single = len(rows) == 1  # a line of one point would not be seen
    style: Option = {"color": look.color, "width": 2 if mark.number is None else 1.4}
    if mark.is_dashed:
        style |= {"type": "dashed", "width": 1.5}
    option: Option = {
        "type": "line", "name": _name(mark.name, look), "data": rows, "lineStyle": style,
        "itemStyle": {"color": look.color}, "showSymbol": single, "symbol": symbol(look),
        "symbolSize": 7, "connectNulls": False, "z": 4,
        "dimensions": [_dimension(figure.x), _dimension(figure.y)],
        "encode": {"x": 0, "y": 1, "tooltip": [0, 1]},
    }  # fmt: skip
    if mark.is_stepped:
        option["step"] = "end"
    return Series(option)


def _band(mark: Band, figure: PlaneFigure, key: str) -> list[Series]:
    """Return the lower curve, and upon it the area up to the upper one."""
    look = LOOKS[mark.role]
    xs = coordinates(mark.x, figure.x)
    lows, highs = coordinates(mark.low, figure.y), coordinates(mark.high, figure.y)
    pairs = list(zip(lows, highs, strict=True))
    lower = [None if a is None or b is None else a for a, b in pairs]
    height = [None if a is None or b is None else plain(b - a) for a, b in pairs]
    common: Option = {
        "type": "line", "name": _name(mark.name, look), "stack": f"band-{key}",
        "stackStrategy": "all", "symbol": "none", "silent": True, "lineStyle": {"opacity": 0},
        "itemStyle": {"color": look.color}, "tooltip": {"show": False}, "z": 1,
    }  # fmt: skip
    area = {"areaStyle": {"color": look.color, "opacity": 0.16}}
    return [
        Series(common | {"data": [[x, y] for x, y in zip(xs, lower, strict=True)]}),
        Series(common | area | {"data": [[x, y] for x, y in zip(xs, height, strict=True)]}),
    ]


def _bars(mark: Bars) -> Series:
    look = LOOKS[mark.role]
    option: Option = {
        "type": "bar", "name": _name(mark.name, look), "barMaxWidth": 18,
        "data": [plain(length) for length in mark.lengths], "itemStyle": {"color": look.color},
    }  # fmt: skip
    ends = [
        [{"coord": [plain(low), i]}, {"coord": [plain(high), i]}]
        for i, (low, high) in enumerate(zip(mark.low, mark.high, strict=True))
        if plain(low) is not None and plain(high) is not None
    ]
    if ends:
        option["markLine"] = {
            "data": ends, "symbol": ["none", "none"], "silent": True, "label": {"show": False},
            "lineStyle": {"type": "solid", "width": 2, "color": LOOKS["reference"].color},
        }  # fmt: skip
    return Series(option)


def spans_series(marks: Sequence[Spans], axis: Axis) -> list[Series]:
    """Return intervals as boxes without whiskers, the one shape that has two free ends.

    They make one series, since boxes of several would lie beside each other; an empty series a
    mark carries the entry of the legend.
    """
    rows: list[Option] = []
    picks: list[int | None] = []
    now = max(
        (e for m in marks for e in coordinates((*m.starts, *m.ends), axis) if e), default=0.0
    )
    for mark in marks:
        look = {"color": LOOKS[mark.role].color, "borderColor": LOOKS[mark.role].color}
        starts, ends = coordinates(mark.starts, axis), coordinates(mark.ends, axis)
        for row, start, end, text in zip(mark.rows, starts, ends, mark.texts, strict=True):
            first, last = now if start is None else start, now if end is None else end
            value = [row, first, first, first, last, last]
            rows.append({"value": value, "name": short(text), "itemStyle": look})
        picks += list(mark.numbers) or [None] * len(mark.rows)
    kind = "time" if axis.is_time else "number"
    names = ["row", "start", "from", "middle", "to", "end"]
    option: Option = {
        "type": "boxplot", "data": rows, "boxWidth": [8, 18], "clip": True, "layout": "vertical",
        "dimensions": [{"name": n, "type": "ordinal" if n == "row" else kind} for n in names],
        "encode": {"y": 0, "x": [1, 2, 3, 4, 5], "tooltip": [2, 4]}, "selectedMode": "single",
    }  # fmt: skip
    return [Series(option, tuple(picks)), *(_entry(mark) for mark in marks)]


def _entry(mark: Spans) -> Series:
    look = LOOKS[mark.role]
    option: Option = {
        "type": "scatter", "name": _name(mark.name, look), "data": [], "symbol": "rect",
        "itemStyle": {"color": look.color},
    }  # fmt: skip
    return Series(option)


def coordinates(values: Sequence[float | None], axis: Axis) -> list[float | None]:
    """Return values as an axis takes them: what a logarithm cannot show is left out."""
    if axis.is_time:
        return [None if v is None else round(v * _MS) for v in map(_finite, values)]
    found = [plain(v) for v in values]
    if axis.is_log:
        return [v if v is not None and v > 0 else None for v in found]
    return found


def _finite(value: float | None) -> float | None:
    return value if plain(value) is not None else None


def _dimension(axis: Axis) -> Option:
    kind = "ordinal" if axis.categories else "time" if axis.is_time else "number"
    return {"name": short(axis.title) or "value", "type": kind}


def _name(name: str, look: Look) -> str:
    return short(name) or look.name
