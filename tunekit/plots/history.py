"""The figure of results by trial number, with the best so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tunekit.analysis.charts.records import HistoryChart
from tunekit.analysis.charts.samples import spread
from tunekit.plots.axes import result_axis
from tunekit.plots.figure import MAX_MARKS, Axis, Line, Mark, PlaneFigure, Points
from tunekit.plots.roles import role_of
from tunekit.plots.texts import amount, best_word, label, listed, sentences, shown_of
from tunekit.records import TrialState

_STOPPED = str(TrialState.STOPPED)
_Row = tuple[int, str, float]


def history_figure(chart: HistoryChart) -> PlaneFigure:
    """Return results by trial number; stopped trials stand faint at their predicted final."""
    metric = label(chart.metric)
    title = f"{metric} by trial"
    rows = _rows(chart)
    axis = result_axis(chart.metric, [y for _, _, y in rows], chart.direction)
    without = Counter(chart.states) - Counter([state for _, state, _ in rows])
    missing = f"{sum(without.values()):,} without a result ({listed(without)})" if without else ""
    if not rows:
        reason = sentences(f"no trial has a result of {metric} yet{_among(chart, missing)}")
        return PlaneFigure(title, reason, Axis("trial"), axis.axis, (), note="", reason=reason)
    best = spread(chart.improvements, MAX_MARKS // 4)
    known = set(best)
    others = spread([row for row in rows if row[0] not in known], MAX_MARKS - 2 * len(best) - 1)
    marks = [*_points(others), *_bests(chart, best)]
    n_drawn = len(others) + len(best)
    not_drawn = f"{missing} not drawn" if missing else ""
    note = sentences(shown_of(n_drawn, chart.total), not_drawn, axis.note)
    return PlaneFigure(
        title, _alt(chart, metric), Axis("trial"), axis.axis, tuple(marks), note=note
    )


def _rows(chart: HistoryChart) -> list[_Row]:
    """Return number, state and height of each trial that has one."""
    columns = zip(chart.numbers, chart.states, chart.values, chart.predicted, strict=True)
    found = []
    for number, state, value, predicted in columns:
        y = predicted if state == _STOPPED and predicted is not None else value
        if y is not None:
            found.append((number, state, y))
    return found


def _points(rows: Sequence[_Row]) -> list[Mark]:
    marks: list[Mark] = []
    for state, n in Counter([state for _, state, _ in rows]).most_common():
        of_state = [(float(number), y) for number, s, y in rows if s == state]
        is_stopped = state == _STOPPED
        name = "stopped, at the predicted final value or the last one" if is_stopped else state
        marks.append(
            Points(
                f"{name} ({n:,})",
                tuple([x for x, _ in of_state]),
                tuple([y for _, y in of_state]),
                role_of(state),
                tuple([number for number, s, _ in rows if s == state]),
                is_faint=is_stopped,
            )
        )
    return marks


def _bests(chart: HistoryChart, numbers: Sequence[int]) -> list[Mark]:
    if not numbers:
        return []
    values = dict(zip(chart.numbers, chart.values, strict=True))
    x, y = tuple([float(n) for n in numbers]), tuple([values[n] for n in numbers])
    end = ((float(chart.numbers[-1]),), y[-1:]) if chart.numbers[-1] > x[-1] else ((), ())
    return [
        Line("best so far", x + end[0], y + end[1], "best", is_stepped=True),
        Points(f"new best ({len(x):,})", x, y, "best", tuple(numbers)),
    ]


def _alt(chart: HistoryChart, metric: str) -> str:
    if not chart.improvements:
        counts = Counter(chart.states)
        return sentences(
            f"{shown_of(chart.shown, chart.total)} by {metric} ({listed(counts)})",
            "none of them is complete and within all constraints",
        )
    values = dict(zip(chart.numbers, chart.values, strict=True))
    first, last = chart.improvements[0], chart.improvements[-1]
    since = chart.numbers[-1] - last
    return sentences(
        f"the {best_word(chart.direction)} {metric} of {chart.total:,} trials is "
        f"{amount(values[last])}, of trial {last}",
        f"the first result was {amount(values[first])}, and {len(chart.improvements):,} trials "
        f"were the best so far",
        f"{since:,} trials have followed the best one" if since > 0 else "",
    )


def _among(chart: HistoryChart, missing: str) -> str:
    return f"; of {shown_of(chart.shown, chart.total)}, {missing}" if missing else ""
