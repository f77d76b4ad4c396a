"""Draws figures with ECharts, for the pages of the dashboard."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from tunekit.plots.figure import ParallelFigure, PlaneFigure, TreeFigure
from tunekit_dashboard.charts.options import EChart, Option
from tunekit_dashboard.charts.parallel import draw_parallel
from tunekit_dashboard.charts.planes import draw_plane
from tunekit_dashboard.charts.trees import draw_tree, draw_treemap

INK = {False: "#41444e", True: "#d3d6dc"}
"""Colour of texts on a light and on a dark page; 9:1 against it, or more."""


Drawable: TypeAlias = PlaneFigure | TreeFigure | ParallelFigure
"""A figure of one chart; a page draws each panel of a `PanelFigure` by itself."""


def draw(figure: Drawable, *, is_dark: bool = False, is_nested: bool = False) -> EChart:
    """Return the chart of a figure.

    Args:
        figure: what to draw; of several panels each one by itself.
        is_dark: for a dark page.
        is_nested: a tree as nested areas instead of nodes and edges.
    """
    if isinstance(figure, TreeFigure):
        drawn = draw_treemap(figure) if is_nested else draw_tree(figure)
    elif isinstance(figure, ParallelFigure):
        drawn = draw_parallel(figure)
    else:
        drawn = draw_plane(figure)
    return replace(drawn, option=_inked(drawn.option, INK[is_dark]))


def _inked(option: Option, ink: str) -> Option:
    """Return an option whose texts have a colour; those that have one keep it."""
    made = dict(option)
    for key in ("xAxis", "yAxis", "parallelAxis"):
        if key in made:
            made[key] = [_axis(axis, ink) for axis in made[key]]
    for key in ("legend", "visualMap"):
        if key in made:
            made[key] = _texts(made[key], "textStyle", ink)
    made["series"] = [
        _texts(s, "label", ink) if s["type"] == "tree" else s for s in made["series"]
    ]
    return made


def _axis(axis: Mapping[str, Any], ink: str) -> Option:
    return _texts(_texts(axis, "axisLabel", ink), "nameTextStyle", ink)


def _texts(part: Mapping[str, Any], key: str, ink: str) -> Option:
    return {**part, key: {"color": ink, **part.get(key, {})}}
