"""The figure of results beside the values of each parameter."""

from __future__ import annotations

from collections.abc import Sequence

from tunekit.analysis.charts.records import PointsChart
from tunekit.analysis.charts.samples import spread
from tunekit.plots.axes import ResultAxis, result_axis
from tunekit.plots.figure import MAX_MARKS, PanelFigure, PlaneFigure, Points, Role
from tunekit.plots.parallel import parameter_axis
from tunekit.plots.roles import role_of
from tunekit.plots.texts import amount, label, path_label, plenty, sentences, shown_of

MAX_PANELS = 8
"""Parameters with a panel, the most important ones; their points share the marks of a figure."""


def slices_figure(chart: PointsChart, most: int = MAX_PANELS) -> PanelFigure:
    """Return one small figure a parameter; a trial is in those whose parameter is active.

    Args:
        chart: the data.
        most: parameters to show.
    """
    metric = label(chart.metric)
    title = f"{metric} by parameter"
    places = [k for k, value in enumerate(chart.values) if value is not None]
    least = min(len(places), 2)  # a parameter with one value says nothing, unless of one trial
    values = [{column[k] for k in places} - {None} for column in chart.columns]
    shown = [i for i, found in enumerate(values) if len(found) >= max(least, 1)][:most]
    if not shown:
        reason = sentences(f"no trial with a parameter that varies has a result of {metric} yet")
        return PanelFigure(title, reason, (), note="", reason=reason)
    axis = result_axis(chart.metric, [chart.values[k] for k in places], chart.direction)
    room = MAX_MARKS // len(shown)
    panels = tuple([_panel(chart, i, places, axis, room) for i in shown])
    n_drawn = max(sum(len(m.x) for m in p.marks if isinstance(m, Points)) for p in panels)
    note = sentences(
        f"up to {shown_of(n_drawn, chart.total)} in each",
        f"{len(panels):,} of {chart.n_axes:,} parameters, the most important that vary",
        axis.note,
    )
    return PanelFigure(
        title, sentences(*[p.alt.rstrip(".") for p in panels[:3]]), panels, note=note
    )


def _panel(
    chart: PointsChart, i: int, places: Sequence[int], axis: ResultAxis, room: int
) -> PlaneFigure:
    data, column = chart.axes[i], chart.columns[i]
    active = [k for k in places if column[k] is not None]
    good = set(chart.good)
    others = [k for k in active if chart.numbers[k] not in good]
    # The good ones say little without the others beside them.
    room_kept = max(room // 2, room - len(others))
    kept = spread([k for k in active if chart.numbers[k] in good], room_kept)
    others = spread(others, room - len(kept))
    groups: dict[tuple[Role, str], list[int]] = {}
    for k in others:
        groups.setdefault((role_of(chart.states[k]), chart.states[k]), []).append(k)
    if kept:
        groups["best", "good"] = kept
    marks = tuple(
        Points(
            f"{name} ({len(of):,})",
            tuple([column[k] for k in of]),
            tuple([chart.values[k] for k in of]),
            role,
            tuple([chart.numbers[k] for k in of]),
            is_faint=role == "stopped",
        )
        for (role, name), of in groups.items()
    )
    name = path_label(data.path)
    x = parameter_axis(data, [column[k] for k in active])
    note = sentences(shown_of(len(kept) + len(others), len(active), "shown trial"))
    return PlaneFigure(name, _alt(chart, i, kept), x, axis.axis, marks, note=note)


def _alt(chart: PointsChart, i: int, good: Sequence[int]) -> str:
    data = chart.axes[i]
    values = [v for k in good if (v := chart.columns[i][k]) is not None]
    name = path_label(data.path)
    if not values:
        return sentences(f"no good trial has {name}")
    good_ones = plenty(len(values), "good trial")
    if not data.choices:
        low, high = amount(min(values)), amount(max(values))
        return sentences(f"in {good_ones}, {name} lies between {low} and {high}")
    most = max(set(values), key=lambda v: (values.count(v), -v))
    text = parameter_axis(data, values).categories[int(most)]
    return sentences(f"in {values.count(most):,} of {good_ones}, {name} is {text}")
