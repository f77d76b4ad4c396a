"""The figure of trade-offs: the Pareto front, with what constraints rule out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from tunekit.analysis.charts.records import FrontChart, FrontPoint
from tunekit.analysis.charts.samples import spread
from tunekit.plots.axes import result_axis
from tunekit.plots.figure import (
    MAX_MARKS,
    Axis,
    Line,
    Mark,
    PanelFigure,
    PlaneFigure,
    Points,
    Role,
)
from tunekit.plots.texts import amount, best_word, label, plenty, sentences, shown_of

MAX_PAIRS = 6
"""Pairs of objectives with a panel."""
TITLE = "trade-offs"


def front_figure(chart: FrontChart) -> PlaneFigure | PanelFigure:
    """Return the front of two objectives, or a panel for each pair of more."""
    if len(chart.metrics) < 2:
        reason = "The study has one objective; a front needs two or more."
        return PlaneFigure(TITLE, reason, Axis(""), Axis(""), (), note="", reason=reason)
    pairs = list(combinations(range(len(chart.metrics)), 2))
    shown = pairs[:MAX_PAIRS]
    room = MAX_MARKS // len(shown)
    panels = tuple([_pair(chart, a, b, room) for a, b in shown])
    if len(panels) == 1:
        return panels[0]
    of_pairs = f"{len(panels):,} of {len(pairs):,} pairs of objectives"
    if panels[0].reason:
        return PanelFigure(TITLE, panels[0].reason, panels, note="", reason=panels[0].reason)
    return PanelFigure(TITLE, panels[0].alt, panels, note=sentences(_counts(chart), of_pairs))


def _pair(chart: FrontChart, a: int, b: int, room: int) -> PlaneFigure:
    names = [label(chart.metrics[i]) for i in (a, b)]
    title = f"{names[1]} against {names[0]}"
    points = [*chart.front, *chart.others]
    axes = [
        result_axis(
            chart.metrics[i], [p.values[i] for p in points], chart.directions[i],
            keep=[p.values[i] for p in chart.front],
        )
        for i in (a, b)
    ]  # fmt: skip
    x, y = axes[0].axis, axes[1].axis
    if not points:
        reason = "No trial is complete yet."
        return PlaneFigure(title, reason, x, y, (), note="", reason=reason)
    front = spread(sorted(chart.front, key=lambda p: (p.values[a] or 0.0, p.number)), room // 4)
    others = spread(chart.others, room - 2 * len(front) - 4)
    marks = _groups(front, others, (a, b))
    if len(chart.metrics) == 2 and len(front) > 1:
        marks.append(_line(front if chart.directions[0] == "minimize" else front[::-1]))
    marks += _bounds(chart, points, (a, b))
    drawn = len(front) + len(others)
    note = sentences(shown_of(drawn, chart.total), axes[0].note, axes[1].note, _ruled_out(chart))
    return PlaneFigure(title, _alt(chart), x, y, tuple(marks), note=note)


def _groups(
    front: Sequence[FrontPoint], others: Sequence[FrontPoint], pair: tuple[int, int]
) -> list[Mark]:
    """Return the points of the front, and the others by their feasibility."""
    a, b = pair
    able = [p for p in others if p.is_feasible]
    barred = [p for p in others if not p.is_feasible]
    groups: tuple[tuple[Sequence[FrontPoint], str, Role], ...] = (
        (able, "dominated", "complete"),
        (barred, "violates a constraint", "failed"),
        (front, "on the front", "best"),
    )
    return [
        Points(
            f"{name} ({len(of):,})",
            tuple([p.values[a] for p in of]),
            tuple([p.values[b] for p in of]),
            role,
            tuple([p.number for p in of]),
            is_faint=of is barred,
        )
        for of, name, role in groups
        if of
    ]


def _line(front: Sequence[FrontPoint]) -> Line:
    x, y = zip(*[(p.values[0], p.values[1]) for p in front], strict=True)
    return Line("front", x, y, "best", is_stepped=True)


def _bounds(chart: FrontChart, points: Sequence[FrontPoint], pair: tuple[int, int]) -> list[Mark]:
    """Return a line for each bound on one of the two objectives."""
    a, b = pair
    ends = [[p.values[i] for p in points if p.values[i] is not None] for i in pair]
    lines: list[Mark] = []
    for bound in chart.constraints:
        where = (bound.bound, bound.bound)
        if bound.metric == chart.metrics[a] and ends[1]:
            span = (min(v or 0.0 for v in ends[1]), max(v or 0.0 for v in ends[1]))
            lines.append(Line(label(str(bound)), where, span, "reference", is_dashed=True))
        elif bound.metric == chart.metrics[b] and ends[0]:
            span = (min(v or 0.0 for v in ends[0]), max(v or 0.0 for v in ends[0]))
            lines.append(Line(label(str(bound)), span, where, "reference", is_dashed=True))
    return lines


def _counts(chart: FrontChart) -> str:
    return shown_of(chart.shown, chart.total)


def _ruled_out(chart: FrontChart) -> str:
    if not chart.constraints:
        return ""
    bounds = ", ".join([label(str(c)) for c in chart.constraints[:5]])
    return f"{chart.n_infeasible:,} of {plenty(chart.total, 'trial')} violate {bounds}"


def _alt(chart: FrontChart) -> str:
    if not chart.front:
        return sentences(
            f"none of {plenty(chart.total, 'complete trial')} satisfies the constraints"
        )
    ends = []
    for i, (metric, direction) in enumerate(zip(chart.metrics, chart.directions, strict=True)):
        values = [(v, p.number) for p in chart.front if (v := p.values[i]) is not None]
        if values:
            value, number = min(values) if direction == "minimize" else max(values)
            word = best_word(direction)
            ends.append(f"the {word} {label(metric)} is {amount(value)}, of trial {number}")
    n = max(chart.n_front, len(chart.front))
    return sentences(
        f"{n:,} of {plenty(chart.total, 'complete trial')} on the front",
        *ends[:4],
        _ruled_out(chart),
    )
