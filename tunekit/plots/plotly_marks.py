"""Draws the marks of a plane with Plotly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import plotly.graph_objects as go

from tunekit.plots.figure import Band, Bars, Heatmap, Line, Mark, PlaneFigure, Points, Spans
from tunekit.plots.palette import LOOKS, SCALE, Shape
from tunekit.plots.plotly_axes import edges, moment, places
from tunekit.plots.plotly_texts import plain

SYMBOLS: Mapping[Shape, str] = {
    "circle": "circle",
    "square": "square",
    "diamond": "diamond",
    "triangle": "triangle-up",
    "triangle-down": "triangle-down",
    "cross": "x",
    "star": "star",
}
FAINT = 0.4
HOVER = "trial %{customdata}<br>%{x}<br>%{y}<extra>%{fullData.name}</extra>"
WITHOUT_NUMBER = "%{x}<br>%{y}<extra>%{fullData.name}</extra>"


def traces_of(figure: PlaneFigure) -> list[Any]:
    """Return the traces of a plane, in drawing order; each may appear in the legend."""
    return [trace for mark in figure.marks for trace in _TRACES[type(mark)](mark, figure)]


def scale(*, lower_is_better: bool) -> list[list[Any]]:
    """Return the colours by value; the best one stands out."""
    colors = SCALE[::-1] if lower_is_better else SCALE
    return [[i / (len(colors) - 1), color] for i, color in enumerate(colors)]


def see_through(color: str, opacity: float) -> str:
    """Return a colour "#rrggbb" that lets others through."""
    r, g, b = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({r},{g},{b},{opacity})"


def _points(mark: Points, figure: PlaneFigure) -> list[Any]:
    look = LOOKS[mark.role]
    has_ground = any(isinstance(m, Heatmap) for m in figure.marks)
    outline = {"width": 1.0 if has_ground else 0.0, "color": "white"}
    size = 9 if mark.role in ("best", "selected") else 6
    return [
        go.Scatter(
            x=places(figure.x, mark.x),
            y=places(figure.y, mark.y),
            mode="markers",
            name=plain(mark.name),
            customdata=list(mark.numbers) or None,
            hovertemplate=HOVER if mark.numbers else WITHOUT_NUMBER,
            marker={
                "color": look.color,
                "symbol": SYMBOLS[look.shape],
                "size": size,
                "line": outline,
            },
            opacity=FAINT if mark.is_faint else 1.0,
        )
    ]


def _line(mark: Line, figure: PlaneFigure) -> list[Any]:
    line = {
        "color": LOOKS[mark.role].color,
        "dash": "dash" if mark.is_dashed else "solid",
        "shape": "hv" if mark.is_stepped else "linear",
        "width": 2 if mark.number is None else 1.3,
    }
    trace = go.Scatter(
        x=places(figure.x, mark.x),
        y=places(figure.y, mark.y),
        # A single point has no line to see.
        mode="lines+markers" if len(mark.x) == 1 else "lines",
        name=plain(mark.name),
        hovertemplate=WITHOUT_NUMBER,
        line=line,
    )
    if mark.number is not None:  # single curves: one of each role stands in the legend
        of_role = (m for m in figure.marks if isinstance(m, Line) and m.number is not None)
        first = next(m for m in of_role if m.role == mark.role)
        trace.update(legendgroup=mark.role, showlegend=mark is first)
    return [trace]


def _band(mark: Band, figure: PlaneFigure) -> list[Any]:
    able = [
        (x, low, high)
        for x, low, high in zip(mark.x, mark.low, mark.high, strict=True)
        if None not in (x, low, high)
    ]
    x = places(figure.x, tuple([x for x, _, _ in able]))
    common: dict[str, Any] = {
        "x": x,
        "mode": "lines",
        "line": {"width": 0},
        "hoverinfo": "skip",
        "name": plain(mark.name),
        "legendgroup": plain(mark.name),
    }
    fill = see_through(LOOKS[mark.role].color, 0.18)
    low, high = [low for _, low, _ in able], [high for _, _, high in able]
    return [
        go.Scatter(**common, y=low, showlegend=False),
        go.Scatter(**common, y=high, fill="tonexty", fillcolor=fill),
    ]


def _bars(mark: Bars, figure: PlaneFigure) -> list[Any]:
    spread = None
    if mark.low and mark.high:
        ends = list(zip(mark.lengths, mark.low, mark.high, strict=True))
        spread = {
            "type": "data",
            "symmetric": False,
            "array": [(high or 0.0) - (v or 0.0) for v, _, high in ends],
            "arrayminus": [(v or 0.0) - (low or 0.0) for v, low, _ in ends],
        }
    return [
        go.Bar(
            x=list(mark.lengths),
            y=list(range(len(mark.lengths))),
            orientation="h",
            name=plain(mark.name),
            marker={"color": LOOKS[mark.role].color},
            error_x=spread,
            hovertemplate="%{y}: %{x:.3g}<extra></extra>",
            showlegend=False,
        )
    ]


def _grid(mark: Heatmap, figure: PlaneFigure) -> list[Any]:
    return [
        go.Heatmap(
            x=edges(figure.x, mark.x),
            y=edges(figure.y, mark.y),
            z=[list(row) for row in mark.z],
            name=plain(mark.name),
            colorscale=scale(lower_is_better=mark.lower_is_better),
            colorbar={"title": {"text": plain(mark.title)}},
            hovertemplate="%{x}<br>%{y}<br>%{z:.4g}<extra>%{fullData.name}</extra>",
        )
    ]


def _spans(mark: Spans, figure: PlaneFigure) -> list[Any]:
    known = [s for s in (*mark.starts, *mark.ends) if s is not None]
    last = max(known, default=0.0)
    ends = [last if end is None else end for end in mark.ends]
    starts = [last if start is None else start for start in mark.starts]
    is_time = figure.x.is_time
    lengths = [end - start for start, end in zip(starts, ends, strict=True)]
    return [
        go.Bar(
            base=[moment(s) for s in starts] if is_time else starts,
            x=[1000.0 * length for length in lengths] if is_time else lengths,
            y=list(mark.rows),
            orientation="h",
            name=plain(mark.name),
            hovertext=[plain(text) for text in mark.texts],
            hovertemplate="%{hovertext}<br>%{base|%Y-%m-%d %H:%M:%S} UTC<extra></extra>",
            marker={"color": LOOKS[mark.role].color, "line": {"width": 0.5, "color": "white"}},
            width=0.7,
        )
    ]


_TRACES: Mapping[type[Mark], Callable[[Any, PlaneFigure], list[Any]]] = {
    Points: _points,
    Line: _line,
    Band: _band,
    Bars: _bars,
    Heatmap: _grid,
    Spans: _spans,
}
