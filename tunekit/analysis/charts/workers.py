"""The workers of a study: how each of them fares, and why one may wait."""

from __future__ import annotations

from collections.abc import Sequence

from tunekit.analysis.charts.samples import cut
from tunekit.analysis.charts.study_records import WorkerRow, WorkersChart
from tunekit.history import History
from tunekit.records import StudyRecord, StudyState, TrialRecord, TrialState

RECENT_S = 120.0
"""Seconds after its last sign of life in which a worker counts as idle, and not as gone."""
FAILING = 3
"""Trials that failed one after the other, from which on a worker counts as failing."""

_BROKEN = frozenset({TrialState.FAILED, TrialState.LOST})
_STATES = {
    StudyState.PAUSED: "the study is paused: no trial starts until it is resumed",
    StudyState.STOPPED: "the study is stopped: no trial starts until it is resumed",
    StudyState.CANCELLED: "the study is cancelled: no trial starts until it is resumed",
}


def workers_chart(
    history: History, record: StudyRecord, *, now: float, held_back: str, seq: int, most: int
) -> WorkersChart:
    """Return at most `most` workers, those seen last first.

    Args:
        history: the trials.
        record: the study as it is stored now.
        now: seconds since 1970 on the storage's clock.
        held_back: why a quota gives no trials, a sentence; empty if none does.
        seq: of the study.
        most: workers to show.
    """
    by_worker: dict[str, list[TrialRecord]] = {}
    for t in history:
        if t.worker:
            by_worker.setdefault(t.worker, []).append(t)
    rows = [_row(name, trials, now) for name, trials in by_worker.items()]
    rows.sort(key=lambda row: (-row.last_seen, row.worker))
    n_live = sum(row.state == "running" for row in rows)
    why = waits_because(history, record, n_live=n_live, held_back=held_back)
    shown = tuple(rows[:most])
    return WorkersChart(seq, len(shown), len(rows), now, why, shown)


def waits_because(history: History, record: StudyRecord, *, n_live: int, held_back: str) -> str:
    """Return why no further trial starts, a sentence; empty if nothing holds one back."""
    most = record.spec.max_trials
    if record.state in _STATES:
        return f"{_STATES[record.state]}."
    if held_back:
        return held_back
    if history.n_waiting:
        waiting = f"{history.n_waiting} trials wait" if history.n_waiting > 1 else "a trial waits"
        if not n_live:
            return f"{waiting}, and no worker is running; start one with `tunekit worker`."
        return f"{waiting} until one of the {n_live} running workers is free."
    if most is not None and len(history) >= most:
        return f"all {most} trials of the budget have been given out."
    if history.n_paused and not n_live:
        return f"{history.n_paused} trials are paused, and no worker is running to go on."
    return "" if n_live else "no worker is running; start one with `tunekit worker`."


def _row(name: str, trials: Sequence[TrialRecord], now: float) -> WorkerRow:
    running = [t for t in trials if t.state is TrialState.RUNNING]
    ended = sorted((t for t in trials if t.finished is not None), key=lambda t: t.finished or 0.0)
    in_a_row = 0
    for t in reversed(ended):
        if t.state not in _BROKEN:
            break
        in_a_row += 1
    seen = max(_end(t, now) for t in trials)
    return WorkerRow(
        name,
        name.partition("/")[0],
        _state(running, in_a_row, seen, now),
        n_trials=len(trials),
        n_failed=sum(t.state in _BROKEN for t in trials),
        failed_in_a_row=in_a_row,
        last_failure=cut(ended[-1].end_reason, 200) if in_a_row else "",
        first_seen=min(map(_start, trials)),
        last_seen=seen,
        busy_s=_busy([(_start(t), _end(t, now)) for t in trials]),
        running=tuple([t.number for t in running][:20]),
    )


def _state(running: Sequence[TrialRecord], in_a_row: int, seen: float, now: float) -> str:
    if in_a_row >= FAILING:
        return "failing"
    if any((t.lease_until or 0.0) >= now for t in running):
        return "running"
    if running:
        return "lost"
    return "idle" if now - seen <= RECENT_S else "gone"


def _busy(spans: list[tuple[float, float]]) -> float:
    """Return the seconds in which at least one trial ran."""
    total, until = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total


def _start(t: TrialRecord) -> float:
    return t.started if t.started is not None else t.created


def _end(t: TrialRecord, now: float) -> float:
    """Return the last moment at which its worker is known to have worked on it."""
    if t.finished is not None:
        return t.finished
    if t.state is TrialState.RUNNING:
        return max(_start(t), min(now, t.lease_until or now))
    return _start(t)
