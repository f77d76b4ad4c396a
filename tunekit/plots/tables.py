"""Gives the numbers of a figure as a table, its twin for those who cannot use the picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias

from tunekit.plots.figure import (
    Axis,
    Band,
    Bars,
    Figure,
    FigureTable,
    Heatmap,
    Line,
    Mark,
    PanelFigure,
    ParallelFigure,
    PlaneFigure,
    Points,
    Spans,
    TreeFigure,
)

INACTIVE = "not active"
"""What stands in place of the value of a parameter that a trial does not have."""

Cell: TypeAlias = str | float | int | None
_Row: TypeAlias = dict[str, Cell]


def table(figure: Figure) -> FigureTable:
    """Return the numbers of a figure: one row a point, vertex, cell, bar, interval, node or line.

    Times are texts with their zone, places of a category are its text.
    """
    if isinstance(figure, PlaneFigure):
        rows = list(_plane(figure))
    elif isinstance(figure, PanelFigure):
        rows = [{"panel": p.title, **row} for p in figure.panels for row in _plane(p)]
    elif isinstance(figure, TreeFigure):
        rows = list(_tree(figure))
    else:
        rows = list(_parallel(figure))
    columns = tuple(dict.fromkeys(name for row in rows for name in row))
    return FigureTable(columns, tuple(tuple(row.get(name) for name in columns) for row in rows))


def n_marks(figure: Figure) -> int:
    """Return how many points, vertices, cells, bars, intervals, nodes or lines a figure has."""
    if isinstance(figure, PlaneFigure):
        return sum(map(_size, figure.marks))
    if isinstance(figure, PanelFigure):
        return sum(map(n_marks, figure.panels))
    return len(figure.nodes if isinstance(figure, TreeFigure) else figure.numbers)


def place_text(axis: Axis, value: float | None) -> Cell:
    """Return a value of an axis as people read it: a category, a time with zone, or the number."""
    if value is None:
        return None
    if axis.categories:
        return axis.categories[int(value)]
    if axis.is_time:
        return datetime.fromtimestamp(value, UTC).isoformat(" ", "seconds")
    return value


def _size(mark: Mark) -> int:
    if isinstance(mark, Bars):
        return len(mark.lengths)
    if isinstance(mark, Spans):
        return len(mark.rows)
    return len(mark.x) * len(mark.y) if isinstance(mark, Heatmap) else len(mark.x)


def _plane(figure: PlaneFigure) -> Iterator[_Row]:
    for mark in figure.marks:
        yield from _ROWS[type(mark)](mark, figure)


def _points(mark: Points, figure: PlaneFigure) -> Iterator[_Row]:
    for i, (x, y) in enumerate(zip(mark.x, mark.y, strict=True)):
        number = mark.numbers[i] if mark.numbers else None
        yield {"series": mark.name, "trial": number, **_place(figure, x, y)}


def _line(mark: Line, figure: PlaneFigure) -> Iterator[_Row]:
    for x, y in zip(mark.x, mark.y, strict=True):
        yield {"series": mark.name, "trial": mark.number, **_place(figure, x, y)}


def _band(mark: Band, figure: PlaneFigure) -> Iterator[_Row]:
    x_name, _ = _names(figure)
    for x, low, high in zip(mark.x, mark.low, mark.high, strict=True):
        yield {
            "series": mark.name,
            x_name: place_text(figure.x, x),
            "low": place_text(figure.y, low),
            "high": place_text(figure.y, high),
        }


def _bars(mark: Bars, figure: PlaneFigure) -> Iterator[_Row]:
    x_name, _ = _names(figure)
    for i, (name, length) in enumerate(zip(figure.y.categories, mark.lengths, strict=True)):
        row: _Row = {"name": name, x_name: length}
        if mark.low and mark.high:
            row |= {"low": mark.low[i], "high": mark.high[i]}
        yield row


def _grid(mark: Heatmap, figure: PlaneFigure) -> Iterator[_Row]:
    for y, row in zip(mark.y, mark.z, strict=True):
        for x, z in zip(mark.x, row, strict=True):
            yield {"series": mark.name, **_place(figure, x, y), mark.title: z}


def _spans(mark: Spans, figure: PlaneFigure) -> Iterator[_Row]:
    for i, row in enumerate(mark.rows):
        yield {
            "row": figure.y.categories[row],
            "trial": mark.numbers[i] if mark.numbers else None,
            "series": mark.name,
            "what": mark.texts[i],
            "start": place_text(figure.x, mark.starts[i]),
            "end": place_text(figure.x, mark.ends[i]),
        }


_ROWS: Mapping[type, Callable[[Any, PlaneFigure], Iterator[_Row]]] = {
    Points: _points,
    Line: _line,
    Band: _band,
    Bars: _bars,
    Heatmap: _grid,
    Spans: _spans,
}


def _names(figure: PlaneFigure) -> tuple[str, str]:
    """Return the titles of the axes as names of columns, which differ from all others."""
    taken = {"series", "trial", "low", "high", "row", "what", "start", "end", "panel", "name", ""}
    x = f"x: {figure.x.title}" if figure.x.title in taken else figure.x.title
    y = f"y: {figure.y.title}" if figure.y.title in {*taken, x} else figure.y.title
    return x, y


def _place(figure: PlaneFigure, x: float | None, y: float | None) -> _Row:
    x_name, y_name = _names(figure)
    return {x_name: place_text(figure.x, x), y_name: place_text(figure.y, y)}


def _tree(figure: TreeFigure) -> Iterator[_Row]:
    paths: list[str] = []
    for node in figure.nodes:
        above = "" if node.parent is None else paths[node.parent] + " / "
        paths.append(above + node.label)
        yield {
            "node": paths[-1],
            "trials": node.size,
            f"best {figure.value_title}": node.value,
            "standard deviation": node.spread,
            "stopped": None if node.is_folded else node.n_stopped,
            "failed": None if node.is_folded else node.n_failed,
        }


def _parallel(figure: ParallelFigure) -> Iterator[_Row]:
    for i, number in enumerate(figure.numbers):
        row: _Row = {"trial": number, "role": figure.roles[i]}
        for k, axis in enumerate(figure.axes):
            text = place_text(axis.axis, axis.values[i])
            name = axis.axis.title
            row[name if name not in row else f"{name} ({k + 1})"] = (
                INACTIVE if text is None else text
            )
        yield row
