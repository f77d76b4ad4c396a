"""Draws a tree with Plotly: its root on the left, its leaves below each other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from tunekit.plots.figure import TreeFigure, TreeFigureNode
from tunekit.plots.palette import LOOKS, NO_VALUE
from tunekit.plots.plotly_marks import scale
from tunekit.plots.plotly_texts import plain

ROW = 34
"""Pixels of a leaf."""
LARGEST, SMALLEST = 26.0, 6.0
"""Diameters of nodes in pixels."""


def tree_traces(figure: TreeFigure) -> tuple[list[Any], int]:
    """Return the traces of a tree, and the height that it needs in pixels."""
    x, y = _places(figure.nodes)
    edge_x: list[float | None] = []
    edge_y: list[float | None] = []
    for i, node in enumerate(figure.nodes):
        if node.parent is not None:
            middle = (x[node.parent] + x[i]) / 2
            edge_x += [x[node.parent], middle, middle, x[i], None]
            edge_y += [y[node.parent], y[node.parent], y[i], y[i], None]
    line = {"color": LOOKS["reference"].color, "width": 1}
    edges = go.Scatter(
        x=edge_x, y=edge_y, mode="lines", line=line, hoverinfo="skip", showlegend=False
    )
    n_rows = round(max(y) - min(y)) + 1
    return [edges, *_nodes(figure, x, y)], max(360, 160 + ROW * n_rows)


def _nodes(figure: TreeFigure, x: list[float], y: list[float]) -> list[Any]:
    """Return the nodes with a value, which gives their colour, and the others."""
    valued = [i for i, node in enumerate(figure.nodes) if node.value is not None]
    others = [i for i, node in enumerate(figure.nodes) if node.value is None]
    traces = []
    if valued:
        title = {"text": plain(f"best {figure.value_title}")}
        colored = {
            "color": [figure.nodes[i].value for i in valued],
            "colorscale": scale(lower_is_better=figure.lower_is_better),
            "colorbar": {"title": title, "lenmode": "pixels", "len": 200, "x": 1.3},
        }
        traces.append(_trace(figure, (x, y), valued, colored))
    if others:
        traces.append(_trace(figure, (x, y), others, {"color": NO_VALUE}))
    return traces


def _trace(
    figure: TreeFigure,
    places: tuple[list[float], list[float]],
    at: list[int],
    colors: Mapping[str, Any],
) -> Any:
    nodes, (x, y) = figure.nodes, places
    leaves = set(range(len(nodes))) - {node.parent for node in nodes}
    most = max(node.size for node in nodes)
    widest = max((node.spread for node in nodes if node.spread is not None), default=0.0) or 1.0
    return go.Scatter(
        x=[x[i] for i in at],
        y=[y[i] for i in at],
        mode="markers+text",
        text=[plain(nodes[i].label) for i in at],
        textposition=["middle right" if i in leaves else "top center" for i in at],
        customdata=[[nodes[i].size, nodes[i].n_stopped, nodes[i].n_failed] for i in at],
        hovertemplate="%{text}<br>%{customdata[0]} trials, %{customdata[1]} stopped, "
        "%{customdata[2]} failed<extra></extra>",
        marker={
            **colors,
            "size": [_size(nodes[i], most) for i in at],
            "opacity": 1.0,
            "line": {
                "color": LOOKS["other"].color,
                # The border shows how far the results are spread.
                "width": [0.5 + 4.0 * (nodes[i].spread or 0.0) / widest for i in at],
            },
        },
        showlegend=False,
        cliponaxis=False,
    )


def _size(node: TreeFigureNode, most: int) -> float:
    return max(SMALLEST, LARGEST * math.sqrt(node.size / most)) if most else SMALLEST


def _places(nodes: tuple[TreeFigureNode, ...]) -> tuple[list[float], list[float]]:
    """Return depths, and rows: a leaf has its own, a node stands amid its children."""
    children: list[list[int]] = [[] for _ in nodes]
    depths = [0.0] * len(nodes)
    for i, node in enumerate(nodes):
        if node.parent is not None:
            children[node.parent].append(i)
            depths[i] = depths[node.parent] + 1.0
    rows = [0.0] * len(nodes)
    next_row = 0
    for i in range(len(nodes)):  # in pre-order, so that leaves are met from top to bottom
        if not children[i]:
            rows[i] = float(-next_row)
            next_row += 1
    for i in reversed(range(len(nodes))):
        if children[i]:
            rows[i] = (rows[children[i][0]] + rows[children[i][-1]]) / 2
    return depths, rows
