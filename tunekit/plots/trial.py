"""The figure of one trial: its curve, what was expected of it, and the curve of the best trial."""

from __future__ import annotations

from tunekit.analysis.charts.records import TrialChart, TrialCurve
from tunekit.plots.axes import result_axis, step_axis
from tunekit.plots.figure import Band, Line, Mark, PlaneFigure, Points, Role, Values
from tunekit.plots.roles import role_of
from tunekit.plots.texts import amount, label, sentences


def trial_figure(chart: TrialChart, metric: str = "") -> PlaneFigure:
    """Return the curve of a trial with the forecast of a stopper as a fan.

    Args:
        chart: the data.
        metric: to show; by default that of the chart.
    """
    metric = metric or chart.metric
    name, title = label(metric), f"{label(metric)} by step, trial {chart.number}"
    curve = next((c for c in chart.curves if c.metric == metric), None)
    if curve is None:
        reason = sentences(f"trial {chart.number} has not reported {name}")
        axis = result_axis(metric, (), "minimize").axis
        return PlaneFigure(title, reason, step_axis(()), axis, (), note="", reason=reason)
    is_shown = metric == chart.metric
    best = chart.best_curve if is_shown and chart.best != chart.number else None
    marks: list[Mark] = []
    if best is not None:
        marks.append(_line(f"best, trial {chart.best}", best, "best", chart.best))
    marks.append(_line(f"trial {chart.number}", curve, role_of(chart.state), chart.number))
    marks += _fan(chart, curve, best) if is_shown else []
    kept = [c for s in chart.checkpoints if (c := _at(curve, s)) is not None]
    if kept:
        x, y = zip(*kept, strict=True)
        marks.append(Points("checkpoint", x, y, "reference"))
    steps = [*curve.steps, *(best.steps if best is not None else ())]
    heights = [y for c in (curve, best) if c is not None for y in c.values]
    y_axis = result_axis(metric, [*heights, *(chart.interval if is_shown else ())], "minimize")
    x_axis = step_axis(sorted(map(float, steps)))
    return PlaneFigure(title, _alt(chart, curve, name), x_axis, y_axis.axis, tuple(marks))


def _line(name: str, curve: TrialCurve, role: Role, number: int | None) -> Line:
    steps: Values = tuple([float(s) for s in curve.steps])
    return Line(name, steps, curve.values, role, number)


def _fan(chart: TrialChart, curve: TrialCurve, best: TrialCurve | None) -> list[Mark]:
    """Return the forecast, from the last report to the last step of the best trial."""
    last = curve.values[-1]
    end = best.steps[-1] if best is not None else curve.steps[-1]
    if chart.predicted is None or last is None:
        return []
    name = f"predicted final {amount(chart.predicted)}"
    if end <= curve.steps[-1]:  # it has run to its end: a point beside it
        return [Points(name, (float(curve.steps[-1]),), (chart.predicted,), "model")]
    x: Values = (float(curve.steps[-1]), float(end))
    fan: list[Mark] = [Line(name, x, (last, chart.predicted), "model", is_dashed=True)]
    if len(chart.interval) == 2 and None not in chart.interval:
        low, high = chart.interval
        fan.insert(0, Band("its interval", x, (last, low), (last, high), "model"))
    return fan


def _at(curve: TrialCurve, step: int) -> tuple[float, float] | None:
    """Return the point of a curve at the last report up to a step."""
    before = [(s, v) for s, v in zip(curve.steps, curve.values, strict=True) if s <= step]
    if not before or before[-1][1] is None:
        return None
    return float(step), before[-1][1]


def _alt(chart: TrialChart, curve: TrialCurve, name: str) -> str:
    ends = [v for v in curve.values if v is not None]
    is_foreseen = chart.predicted is not None and curve.metric == chart.metric
    return sentences(
        f"{name} of trial {chart.number} over {len(curve.steps):,} reports up to step "
        f"{curve.steps[-1]:,}"
        + (f", from {amount(ends[0])} to {amount(ends[-1])}" if ends else ""),
        f"a stopper predicted {amount(chart.predicted)}" if is_foreseen else "",
    )
