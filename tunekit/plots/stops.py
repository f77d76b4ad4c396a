"""The figure of early stopping: what was predicted of the audited trials, and what came."""

from __future__ import annotations

from tunekit.analysis.charts.records import StopsChart, StopVerdict
from tunekit.analysis.charts.samples import spread
from tunekit.plots.axes import result_axis
from tunekit.plots.figure import MAX_MARKS, Axis, Line, Mark, PlaneFigure, Points, Role
from tunekit.plots.texts import label, plenty, sentences, shown_of


def stops_figure(chart: StopsChart) -> PlaneFigure:
    """Return the final values of the condemned trials that ran on, beside their predictions."""
    metric = label(chart.metric)
    title = "audit of early stopping"
    able = [v for v in chart.verdicts if v.is_audited and None not in (v.predicted, v.value)]
    heights = [y for v in able for y in (v.predicted, v.value)]
    axis = result_axis(chart.metric, heights, chart.direction)
    x = _named(axis.axis, f"predicted final {metric}")
    y = _named(axis.axis, f"final {metric}")
    alt = _alt(chart)
    note = sentences(shown_of(len(able), chart.total, "condemned trial"), axis.note)
    if not able:
        why = "no condemned trial has run to its end with a prediction of its result"
        return PlaneFigure(title, alt, x, y, (), note=note, reason=sentences(why))
    shown = spread(able, MAX_MARKS - 2)
    false = set(chart.audit.false_stops)
    groups: tuple[tuple[str, list[StopVerdict], Role], ...] = (
        ("rightly condemned", [v for v in shown if v.number not in false], "stopped"),
        ("would have been best", [v for v in shown if v.number in false], "failed"),
    )
    marks: list[Mark] = [_points(name, of, role) for name, of, role in groups if of]
    ends = (min(v or 0.0 for v in heights), max(v or 0.0 for v in heights))
    marks.append(Line("as predicted", ends, ends, "reference", is_dashed=True))
    return PlaneFigure(title, alt, x, y, tuple(marks), note=note)


def _points(name: str, of: list[StopVerdict], role: Role) -> Points:
    return Points(
        f"{name} ({len(of):,})",
        tuple([v.predicted for v in of]),
        tuple([v.value for v in of]),
        role,
        tuple([v.number for v in of]),
    )


def _named(axis: Axis, title: str) -> Axis:
    return Axis(title, axis.is_log, low=axis.low, high=axis.high)


def _alt(chart: StopsChart) -> str:
    audit = chart.audit
    saved = "" if audit.saved is None else f"{audit.saved:.0%} of all reports were saved"
    stopped = f"{plenty(audit.n_stopped, 'trial')} stopped early"
    if audit.false_stop_rate is None:
        return sentences(stopped, saved, "no condemned trial has run to its end yet")
    low, high = audit.interval
    return sentences(
        stopped,
        saved,
        f"{len(audit.false_stops):,} of {audit.n_audited:,} audited trials turned out best: "
        f"a rate of {audit.false_stop_rate:.1%}, 95 % interval {low:.1%} to {high:.1%}",
    )
