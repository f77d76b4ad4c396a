"""Writes figures over two axes as records that can be sent, with their marks by kind.

The marks of a figure are a union, which a reader could not tell apart in JSON. Numbers keep six
significant digits, more than a picture shows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

from tunekit.analysis.charts.records import Chart
from tunekit.plots.figure import (
    Axis,
    Band,
    Captions,
    Heatmap,
    Line,
    Mark,
    PanelFigure,
    PlaneFigure,
    Points,
)

M = TypeVar("M", Band, Heatmap, Line, Points)


@dataclass(frozen=True, slots=True)
class PlaneRecord(Captions):
    """A `PlaneFigure`; its marks are drawn in the order of the fields."""

    x: Axis
    y: Axis
    grids: tuple[Heatmap, ...] = ()
    bands: tuple[Band, ...] = ()
    lines: tuple[Line, ...] = ()
    points: tuple[Points, ...] = ()


@dataclass(frozen=True, slots=True)
class PanelRecord(Captions):
    """A `PanelFigure`."""

    panels: tuple[PlaneRecord, ...]


@dataclass(frozen=True, slots=True)
class LawChart(Chart):
    """The law of a study; `shown` counts the runs that it rests on, `total` all trials.

    Attributes:
        prediction: lines about the largest N and D of the space; empty without both axes.
        warnings: doubts about the law, one sentence each.
        figures: the optima, the way to the prediction, the cells, and the loss.
        reason: why there is no law; empty where there is one.
    """

    prediction: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    figures: tuple[PanelRecord, ...] = ()
    reason: str = ""


def panel_record(figure: PanelFigure | PlaneFigure) -> PanelRecord:
    """Return the record of a figure; one over two axes alone has a single panel."""
    if isinstance(figure, PlaneFigure):
        figure = PanelFigure(
            figure.title,
            figure.alt,
            () if figure.reason else (figure,),
            note=figure.note,
            reason=figure.reason,
        )
    panels = tuple([_plane_record(panel) for panel in figure.panels])
    return PanelRecord(figure.title, figure.alt, panels, note=figure.note, reason=figure.reason)


def panel_figure(record: PanelRecord) -> PanelFigure:
    """Return the figure of a record."""
    panels = tuple([_plane_figure(panel) for panel in record.panels])
    return PanelFigure(record.title, record.alt, panels, note=record.note, reason=record.reason)


def _plane_record(figure: PlaneFigure) -> PlaneRecord:
    """Return the record of a figure.

    Raises:
        TypeError: it has bars or spans, which no record holds.
    """
    known = (Heatmap, Band, Line, Points)
    strange = [m for m in figure.marks if not isinstance(m, known)]
    if strange:
        raise TypeError(f"{type(strange[0]).__name__} has no place in a PlaneRecord.")
    marks = figure.marks
    return PlaneRecord(
        figure.title, figure.alt, figure.x, figure.y,
        _of(Heatmap, marks), _of(Band, marks), _of(Line, marks), _of(Points, marks),
        note=figure.note, reason=figure.reason,
    )  # fmt: skip


def _plane_figure(record: PlaneRecord) -> PlaneFigure:
    marks: tuple[Mark, ...] = (*record.grids, *record.bands, *record.lines, *record.points)
    return PlaneFigure(
        record.title, record.alt, record.x, record.y, marks, note=record.note, reason=record.reason
    )


def _of(kind: type[M], marks: Iterable[object]) -> tuple[M, ...]:
    return tuple([_rounded(m) for m in marks if isinstance(m, kind)])


def _rounded(mark: M) -> M:
    values = {f.name: getattr(mark, f.name) for f in fields(mark)}
    numbers = {k: _short(v) for k, v in values.items() if k in ("x", "y", "z", "low", "high")}
    return replace(mark, **numbers)


def _short(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple([_short(v) for v in value])
    return None if value is None else float(f"{value:.6g}")
