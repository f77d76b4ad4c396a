"""The figure of what a model of the trials expects over two parameters."""

from __future__ import annotations

from tunekit.analysis.charts.contour_records import ContourChart
from tunekit.plots.figure import Axis, Heatmap, Mark, PlaneFigure, Points
from tunekit.plots.parallel import parameter_axis
from tunekit.plots.roles import role_of
from tunekit.plots.texts import amount, best_word, label, path_label, plenty, sentences, shown_of


def contour_figure(chart: ContourChart) -> PlaneFigure:
    """Return the expected metric over two parameters, with the trials that have both."""
    metric = label(chart.metric)
    if not chart.axes:
        title = f"expected {metric} over two parameters"
        reason = sentences(chart.reason.rstrip("."))
        return PlaneFigure(title, reason, Axis(""), Axis(""), (), note="", reason=reason)
    names = [path_label(a.path) for a in chart.axes]
    title = f"expected {metric} over {names[0]} and {names[1]}"
    x = parameter_axis(chart.axes[0], [*chart.x, *chart.points_x])
    y = parameter_axis(chart.axes[1], [*chart.y, *chart.points_y])
    marks: list[Mark] = []
    if chart.mean:
        is_lower = chart.direction == "minimize"
        marks.append(Heatmap(f"expected {metric}", metric, chart.x, chart.y, chart.mean, is_lower))
    marks += _points(chart)
    note = sentences(shown_of(chart.shown, chart.total), _model(chart))
    if not marks:
        reason = sentences(chart.reason.rstrip("."))
        return PlaneFigure(title, reason, x, y, (), note=note, reason=reason)
    return PlaneFigure(title, _alt(chart, metric, names, (x, y)), x, y, tuple(marks), note=note)


def _points(chart: ContourChart) -> list[Mark]:
    marks: list[Mark] = []
    for state in dict.fromkeys(chart.states):
        at = [k for k, s in enumerate(chart.states) if s == state]
        marks.append(
            Points(
                f"{state} ({len(at):,})",
                tuple([chart.points_x[k] for k in at]),
                tuple([chart.points_y[k] for k in at]),
                role_of(state),
                tuple([chart.numbers[k] for k in at]),
            )
        )
    return marks


def _model(chart: ContourChart) -> str:
    if not chart.mean:
        return chart.reason.rstrip(".")
    return (
        f"a Gaussian process of {chart.n_fitted:,} trials; "
        f"the other parameters are those of trial {chart.base}"
    )


def _alt(chart: ContourChart, metric: str, names: list[str], axes: tuple[Axis, Axis]) -> str:
    cells = [
        (value, i, k)
        for i, row in enumerate(chart.mean)
        for k, value in enumerate(row)
        if value is not None
    ]
    if not cells:
        return sentences(
            f"{plenty(chart.shown, 'trial')} over {names[0]} and {names[1]}", _model(chart)
        )
    pick = min if chart.direction == "minimize" else max
    value, i, k = pick(cells)
    at = (_text(axes[0], chart.x[k]), _text(axes[1], chart.y[i]))
    sd = chart.sd[i][k] if chart.sd else None
    spread = f" (standard deviation {amount(sd)})" if sd is not None else ""
    return sentences(
        f"the model expects the {best_word(chart.direction)} {metric}, {amount(value)}{spread}, "
        f"at {names[0]} {at[0]} and {names[1]} {at[1]}"
    )


def _text(axis: Axis, value: float) -> str:
    return axis.categories[int(value)] if axis.categories else amount(value)
