"""Draws figures with Plotly, for notebooks and reports."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from tunekit.plots.figure import Figure, PanelFigure, ParallelFigure, PlaneFigure, TreeFigure
from tunekit.plots.plotly_axes import layout_of
from tunekit.plots.plotly_marks import traces_of
from tunekit.plots.plotly_parallel import left_margin, parallel_trace
from tunekit.plots.plotly_texts import plain, wrapped
from tunekit.plots.plotly_tree import tree_traces

Theme: TypeAlias = Literal["light", "dark"]

TEMPLATES = {"light": "plotly_white", "dark": "plotly_dark"}
WIDE = 100
"""Characters of a line below the title."""
PER_ROW = 3


def to_plotly(figure: Figure, *, theme: Theme = "light") -> Any:
    """Return a figure as Plotly's `Figure`.

    Its alternative text is in `layout.meta["alt"]`, the note below the title. Texts of users are
    escaped: Plotly would read tags in them.

    Args:
        figure: what to draw.
        theme: "light" or "dark".
    """
    if figure.reason:
        drawn = _nothing(figure.reason)
    elif isinstance(figure, PlaneFigure):
        drawn = _plane(figure)
    elif isinstance(figure, PanelFigure):
        drawn = _panels(figure)
    elif isinstance(figure, TreeFigure):
        drawn = _tree(figure)
    else:
        drawn = _parallel(figure)
    title: dict[str, Any] = {"text": plain(figure.title)}
    if figure.note:
        title["subtitle"] = {"text": wrapped(figure.note, WIDE)}
    drawn.update_layout(
        title=title, template=TEMPLATES[theme], meta={"alt": figure.alt}, hovermode="closest"
    )
    return drawn


def _nothing(reason: str) -> Any:
    drawn = go.Figure()
    drawn.add_annotation(
        text=wrapped(reason, 60), showarrow=False, x=0.5, y=0.5, xref="paper", yref="paper"
    )
    drawn.update_layout(xaxis={"visible": False}, yaxis={"visible": False}, height=220)
    return drawn


def _plane(figure: PlaneFigure) -> Any:
    drawn = go.Figure(traces_of(figure))
    rows = len(figure.y.categories)
    drawn.update_layout(
        xaxis=layout_of(figure.x),
        yaxis=layout_of(figure.y, is_y=True),
        barmode="overlay",
        legend={"orientation": "h", "yref": "container", "y": 0.01, "yanchor": "bottom"},
        height=max(280, 200 + 24 * rows) if rows else 440,
    )
    return drawn


def _panels(figure: PanelFigure) -> Any:
    n = len(figure.panels)
    # Names beside bars need room.
    has_names = any(p.y.categories for p in figure.panels)
    columns = min(2 if has_names else PER_ROW, n)
    rows = -(-n // columns)
    drawn = make_subplots(
        rows, columns, subplot_titles=[plain(p.title) for p in figure.panels],
        horizontal_spacing=(0.32 if has_names else 0.12) if columns > 1 else 0.0,
        vertical_spacing=min(0.16, 0.6 / rows),
    )  # fmt: skip
    named: set[str] = set()
    for i, panel in enumerate(figure.panels):
        row, column = i // columns + 1, i % columns + 1
        for trace in traces_of(panel):
            group = str(getattr(trace, "name", "")).partition(" (")[0]
            if trace.showlegend is not False:
                trace.update(name=group, legendgroup=group, showlegend=group not in named)
                named.add(group)
            drawn.add_trace(trace, row=row, col=column)
        drawn.update_xaxes(layout_of(panel.x) | {"title": None}, row=row, col=column)
        y = layout_of(panel.y, is_y=True)
        drawn.update_yaxes(y | {"title": y["title"] if column == 1 else None}, row=row, col=column)
    drawn.update_layout(height=150 + 280 * rows, barmode="overlay", margin={"t": 130})
    _share_scale(drawn)
    return drawn


def _share_scale(drawn: Any) -> None:
    """Give the colours of all panels one scale with one bar, and move the legend below them."""
    maps = [trace for trace in drawn.data if isinstance(trace, go.Heatmap)]
    values = [v for trace in maps for row in trace.z for v in row if v is not None]
    if not values:
        return
    for i, trace in enumerate(maps):
        trace.update(zmin=min(values), zmax=max(values), showscale=i == 0, showlegend=False)
    below = {"orientation": "h", "yref": "container", "y": 0.01, "yanchor": "bottom"}
    drawn.update_layout(legend=below, margin={"b": 90})


def _tree(figure: TreeFigure) -> Any:
    traces, height = tree_traces(figure)
    drawn = go.Figure(traces)
    hidden = {"visible": False}
    drawn.update_layout(xaxis=hidden, yaxis=hidden, height=height, margin={"r": 260})
    return drawn


def _parallel(figure: ParallelFigure) -> Any:
    drawn = go.Figure(parallel_trace(figure))
    margin = {"t": 170, "l": left_margin(figure.axes), "r": 80}
    drawn.update_layout(height=520, margin=margin)
    return drawn
