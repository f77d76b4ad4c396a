"""Figures of the budget: the trials that are left, and the best result over time."""

from __future__ import annotations

from tunekit.analysis.charts.samples import spread
from tunekit.analysis.charts.time_records import BudgetChart
from tunekit.plots.axes import result_axis
from tunekit.plots.figure import MAX_MARKS, Axis, Line, Mark, PlaneFigure
from tunekit.plots.texts import amount, best_word, label, plenty, sentences, shown_of
from tunekit.plots.timeline import duration

RECENT = 0.2
"""Share of the ended trials whose pace the forecast takes."""
TIME = Axis("time", is_time=True)


def budget_figure(chart: BudgetChart) -> PlaneFigure:
    """Return the trials left over time and when the budget ends at the recent pace.

    Without a budget, it shows the trials that have ended.
    """
    goal = chart.goal
    title = "trials ended" if goal is None else "trials left"
    y = Axis(title, low=0.0)
    if not chart.times:
        reason = "No trial has ended yet."
        return PlaneFigure(title, reason, TIME, y, (), note="", reason=reason)
    at = _thinned(chart)
    ended = [chart.ended[k] for k in at]
    counts = [float(n) if goal is None else float(max(goal - n, 0)) for n in ended]
    marks: list[Mark] = [Line(title, _times(chart, at), tuple(counts), is_stepped=True)]
    end = _end(chart)
    if end is not None:
        x, left = (chart.times[-1], end), (counts[-1], 0.0)
        marks.append(Line("at the recent pace", x, left, "model", is_dashed=True))
    note = sentences(shown_of(len(at), chart.total, "ended trial"), "times in UTC")
    return PlaneFigure(title, _budget_alt(chart, end), TIME, y, tuple(marks), note=note)


def best_figure(chart: BudgetChart) -> PlaneFigure:
    """Return the best result over time."""
    metric = label(chart.metric)
    title = f"best {metric} so far"
    at = [k for k in _thinned(chart) if chart.best[k] is not None]
    values = [chart.best[k] for k in at]
    distinct = dict.fromkeys(values)
    axis = result_axis(chart.metric, distinct, chart.direction, is_wide=True)
    if not at:
        reason = sentences(f"no complete trial has a result of {metric} yet")
        return PlaneFigure(title, reason, TIME, axis.axis, (), note="", reason=reason)
    line = Line(title, _times(chart, at), tuple(values), "best", is_stepped=True)
    alt = sentences(
        f"the {best_word(chart.direction)} {metric} is {amount(values[-1])}, of trial "
        f"{chart.best_number}",
        f"it was {amount(values[0])} at first",
        _since(chart),
    )
    note = sentences(shown_of(len(at), chart.total, "ended trial"), "times in UTC", axis.note)
    return PlaneFigure(title, alt, TIME, axis.axis, (line,), note=note)


def _thinned(chart: BudgetChart) -> list[int]:
    return spread(range(len(chart.times)), MAX_MARKS - 2)


def _times(chart: BudgetChart, at: list[int]) -> tuple[float, ...]:
    return tuple([chart.times[k] for k in at])


def _end(chart: BudgetChart) -> float | None:
    """Return when the budget ends at the pace of the last fifth of the trials."""
    if chart.goal is None or chart.ended[-1] >= chart.goal:
        return None
    since = chart.ended[-1] * (1.0 - RECENT)
    first = max((k for k, n in enumerate(chart.ended) if n <= since), default=0)
    n, time = chart.ended[-1] - chart.ended[first], chart.times[-1] - chart.times[first]
    if n <= 0 or time <= 0.0:
        return None
    return chart.times[-1] + (chart.goal - chart.ended[-1]) * time / n


def _since(chart: BudgetChart) -> str:
    if chart.best_number is None or not chart.since_best:
        return ""
    share = chart.since_best / chart.ended[-1]
    return f"{plenty(chart.since_best, 'trial')} ({share:.0%}) ended after it"


def _budget_alt(chart: BudgetChart, end: float | None) -> str:
    ended = chart.ended[-1]
    if chart.goal is None:
        return sentences(f"{plenty(ended, 'trial')} ended; the study has no budget", _since(chart))
    left = max(chart.goal - ended, 0)
    soon = f"at the recent pace the rest takes {duration(end - chart.times[-1])}" if end else ""
    best = f"trial {chart.best_number} is the best" if chart.best_number is not None else ""
    return sentences(
        f"{ended:,} of {chart.goal:,} trials ended, {left:,} are left", soon, best, _since(chart)
    )
