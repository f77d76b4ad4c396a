"""Draws trees: as nodes and edges, or as nested areas."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from tunekit.plots.figure import TreeFigure, TreeFigureNode
from tunekit.plots.palette import NO_VALUE, blend, ink_on
from tunekit_dashboard.charts.options import EChart, Option, base, finite, plain, short

_SMALLEST, _LARGEST = 8.0, 40.0
"""Diameters of a node in pixels."""
_THIN, _THICK = 1.0, 7.0
"""Borders of a node in pixels, for the smallest and the largest spread."""
_ROW = 26
"""Height that a leaf needs for its label, in pixels."""


def draw_tree(figure: TreeFigure) -> EChart:
    """Return a tree from left to right.

    A node's area stands for its trials, its colour for the best result, its border for the spread.
    """
    root = _nested(figure, _node_style(figure))
    series = {
        "type": "tree", "data": [root], "orient": "LR", "expandAndCollapse": False,
        "initialTreeDepth": -1, "selectedMode": "single", "roam": False,
        "left": 50, "right": 190, "top": 12, "bottom": 12,
        "label": {"position": "top", "distance": 5, "fontSize": 12,
                  "width": 180, "overflow": "truncate"},
        "leaves": {"label": {"position": "right", "distance": 6}},
        "lineStyle": {"color": NO_VALUE, "width": 1.2, "curveness": 0.4},
        "emphasis": {"focus": "none"},
        "select": {"itemStyle": {"borderColor": "#d64545", "borderWidth": 3}},
    }  # fmt: skip
    option = base(figure.title) | {"series": [series]}
    return EChart(option, (_picks(figure),), max(260, _ROW * _n_leaves(figure.nodes) + 40))


def draw_treemap(figure: TreeFigure) -> EChart:
    """Return nested areas; a node's area stands for its trials, its colour for the best result."""
    root = _nested(figure, _area_style(figure))
    series = {
        "type": "treemap", "data": [root], "nodeClick": False, "roam": False,
        "breadcrumb": {"show": False}, "selectedMode": "single",
        "left": 0, "right": 0, "top": 0, "bottom": 0, "leafDepth": None,
        "label": {"show": True, "overflow": "truncate"},
        "upperLabel": {"show": True, "height": 22, "overflow": "truncate"},
        "itemStyle": {"gapWidth": 2, "borderWidth": 2},
    }  # fmt: skip
    option = base(figure.title) | {"series": [series]}
    return EChart(option, (_picks(figure),), 480)


def _picks(figure: TreeFigure) -> tuple[int | None, ...]:
    # ECharts counts data in pre-order from an invisible root, which has the place 0.
    return (None, *(node.id for node in figure.nodes))


def _nested(figure: TreeFigure, style: Callable[[TreeFigureNode], Option]) -> Option:
    """Return the root with its children inside, in the order of the figure's nodes."""
    made: list[dict[str, Any]] = []
    for node in figure.nodes:
        item: dict[str, Any] = {
            "name": short(node.label) or "all trials",
            "value": node.size,
            **style(node),
        }
        made.append(item)
        if (
            node.parent is None and "label" not in item
        ):  # where neither the chart's edge nor its children's labels are
            item["label"] = {"position": "bottom", "align": "left", "offset": [-30, 0]}
        if node.parent is not None:
            made[node.parent].setdefault("children", []).append(item)
    return made[0] if made else {"name": "all trials", "value": 0}


def _node_style(figure: TreeFigure) -> Callable[[TreeFigureNode], Option]:
    color = _coloring(figure)
    most = max((node.size for node in figure.nodes), default=1)
    widest = max(finite(node.spread for node in figure.nodes), default=0.0)

    def style(node: TreeFigureNode) -> Option:
        share = math.sqrt(node.size / most) if most else 0.0
        spread = (plain(node.spread) or 0.0) / widest if widest else 0.0
        item = {
            "color": color(node), "borderColor": NO_VALUE,
            "borderWidth": round(_THIN + (_THICK - _THIN) * spread, 1),
        }  # fmt: skip
        size = round(_SMALLEST + (_LARGEST - _SMALLEST) * share, 1)
        return {"symbol": "circle", "symbolSize": size, "itemStyle": item}

    return style


def _area_style(figure: TreeFigure) -> Callable[[TreeFigureNode], Option]:
    color = _coloring(figure)

    def style(node: TreeFigureNode) -> Option:
        text = {"color": ink_on(color(node))}
        item = {"color": color(node), "borderColor": color(node)}
        return {"itemStyle": item, "label": text, "upperLabel": text}

    return style


def _coloring(figure: TreeFigure) -> Callable[[TreeFigureNode], str]:
    """Return what colours a node by the rank of its value, the best one brightest.

    Ranks, not values: one branch that is far off would leave the others in one colour.
    """
    values = sorted(set(finite(node.value for node in figure.nodes)))
    if figure.lower_is_better:
        values.reverse()
    place = {v: i / max(len(values) - 1, 1) for i, v in enumerate(values)}

    def color(node: TreeFigureNode) -> str:
        at = None if node.value is None else place.get(node.value)
        return NO_VALUE if at is None else blend(at if len(values) > 1 else 1.0)

    return color


def _n_leaves(nodes: Sequence[TreeFigureNode]) -> int:
    inner = {node.parent for node in nodes}
    return sum(i not in inner for i in range(len(nodes)))
