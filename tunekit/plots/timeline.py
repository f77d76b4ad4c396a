"""The figure of which worker ran which trial when."""

from __future__ import annotations

from collections.abc import Iterator

from tunekit.analysis.charts.time_records import TimelineChart
from tunekit.plots.figure import MAX_MARKS, Axis, PlaneFigure, Spans
from tunekit.plots.roles import role_of
from tunekit.plots.texts import label, plenty, sentences, shown_of

MAX_NAME = 30
"""Characters of the name of a worker."""
UNNAMED = "worker without a name"


def timeline_figure(chart: TimelineChart) -> PlaneFigure:
    """Return the trials of each worker as intervals; open ends reach the last known moment."""
    names = tuple([worker_name(name) for name in chart.workers])
    x, y = Axis("time", is_time=True), Axis("worker", categories=names)
    if not chart.numbers:
        reason = "No trial has started yet."
        return PlaneFigure("workers", reason, x, y, (), note="", reason=reason)
    at = range(max(0, len(chart.numbers) - MAX_MARKS), len(chart.numbers))
    marks = []
    for state in dict.fromkeys(chart.states[k] for k in at):
        of = [k for k in at if chart.states[k] == state]
        marks.append(
            Spans(
                f"{state} ({len(of):,})",
                tuple([chart.rows[k] for k in of]),
                tuple([chart.starts[k] for k in of]),
                tuple([_end(chart, k) for k in of]),
                tuple([f"trial {chart.numbers[k]}, {state}" for k in of]),
                tuple([chart.numbers[k] for k in of]),
                role_of(state),
            )
        )
    note = sentences(shown_of(len(at), chart.total, "started trial"), "times in UTC")
    return PlaneFigure("workers", _alt(chart), x, y, tuple(marks), note=note)


def worker_name(name: str) -> str:
    """Return the host of a worker, and the end of its name, which tells it from others there."""
    text = label(name, 200)
    if len(text) <= MAX_NAME:
        return text or UNNAMED
    return f"{label(text.partition('/')[0], MAX_NAME // 2)}/{text[-MAX_NAME // 3 :]}".replace(
        "/", "/…", 1
    )


def idle_gaps(chart: TimelineChart) -> list[tuple[int, float, float]]:
    """Return row, start and end of each time in which a worker ran no trial between two."""
    return [gap for row in range(len(chart.workers)) for gap in _gaps(chart, row)]


def duration(seconds: float) -> str:
    """Return a time as people say it: "12 s", "3.5 min", "2.1 h"."""
    for size, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


def _gaps(chart: TimelineChart, row: int) -> Iterator[tuple[int, float, float]]:
    spans = sorted(
        (chart.starts[k], _end(chart, k)) for k in range(len(chart.rows)) if chart.rows[k] == row
    )
    busy_until = spans[0][0] if spans else 0.0
    for start, end in spans:
        if start > busy_until:
            yield row, busy_until, start
        busy_until = max(busy_until, end)


def _end(chart: TimelineChart, k: int) -> float:
    end = chart.ends[k]
    return max(chart.until if end is None else end, chart.starts[k])


def _alt(chart: TimelineChart) -> str:
    gaps = idle_gaps(chart)
    span = max(_end(chart, k) for k in range(len(chart.rows))) - min(chart.starts)
    running = sum(end is None for end in chart.ends)
    longest = max(gaps, key=lambda g: g[2] - g[1], default=None)
    idle = ""
    if longest is not None:
        where = worker_name(chart.workers[longest[0]])
        idle = f"the longest idle time is {duration(longest[2] - longest[1])}, of {where}"
    return sentences(
        f"{plenty(len(chart.workers), 'worker')} ran {plenty(chart.shown, 'trial')} in "
        f"{duration(span)}",
        idle,
        f"{running:,} are not finished" if running else "",
    )
