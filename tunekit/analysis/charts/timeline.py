"""Charts over time: the work of each worker, and the budget spent."""

from __future__ import annotations

import math

from tunekit.analysis.charts.samples import cut, number, spread
from tunekit.analysis.charts.time_records import BudgetChart, TimelineChart
from tunekit.history import History
from tunekit.records import ObjectiveSpec, TrialRecord, TrialState

MAX_WORKERS = 200
"""Workers of one chart: those with the newest trials."""


def timeline_chart(history: History, *, seq: int, most: int) -> TimelineChart:
    """Return the newest trials that have started, by worker; a trial counts for its last one."""
    started = [t for t in history if t.started is not None]
    newest = sorted(started, key=lambda t: (-_start(t), -t.number))[:most]
    names = list(dict.fromkeys(t.worker for t in newest))[:MAX_WORKERS]
    shown = [t for t in reversed(newest) if t.worker in set(names)]
    rows = {name: i for i, name in enumerate(sorted(names))}
    ends = [t.finished for t in history if t.finished is not None]
    return TimelineChart(
        seq, len(shown), len(started),
        until=max([*ends, *map(_start, started)], default=0.0),
        workers=tuple([cut(name) for name in rows]),
        numbers=tuple([t.number for t in shown]),
        states=tuple([str(t.state) for t in shown]),
        rows=tuple([rows[t.worker] for t in shown]),
        starts=tuple([_start(t) for t in shown]),
        ends=tuple([t.finished for t in shown]),
    )  # fmt: skip


def budget_chart(
    history: History, objective: ObjectiveSpec, goal: int | None, *, seq: int, most: int
) -> BudgetChart:
    """Return how many trials had ended at which time, and the best result by then.

    Args:
        history: the trials.
        objective: the shown metric.
        goal: trials that the study is to have.
        seq: of the study.
        most: times to show; those of new best results are among them as long as they fit.
    """
    ended = [t for t in history.finished() if t.finished is not None]
    ended.sort(key=lambda t: (t.finished or 0.0, t.number))
    best, best_at = math.inf, -1
    bests: list[float | None] = []
    news: set[int] = set()
    for i, t in enumerate(ended):
        loss = _loss(history, t, objective)
        if loss < best:
            best, best_at = loss, i
            news.add(i)
        bests.append(number(objective.loss(best)))
    kept = _kept(len(ended), news, most)
    return BudgetChart(
        seq, len(kept), len(ended), objective.metric, goal,
        times=tuple([ended[i].finished or 0.0 for i in kept]),
        ended=tuple([i + 1 for i in kept]),
        best=tuple([bests[i] for i in kept]),
        best_number=ended[best_at].number if best_at >= 0 else None,
        since_best=len(ended) - 1 - best_at if best_at >= 0 else len(ended),
        direction=objective.direction,
    )  # fmt: skip


def _kept(n: int, news: set[int], most: int) -> list[int]:
    first = spread(sorted(news | {0, n - 1}) if n else [], most)
    known = set(first)
    return sorted([*first, *spread([i for i in range(n) if i not in known], most - len(first))])


def _start(trial: TrialRecord) -> float:
    return trial.started or 0.0


def _loss(history: History, trial: TrialRecord, objective: ObjectiveSpec) -> float:
    value = trial.metrics.get(objective.metric, math.nan)
    able = trial.state is TrialState.COMPLETE and math.isfinite(value)
    if not able or history.violation(trial) != 0.0 or not history.is_at_target(trial):
        return math.inf
    return objective.loss(value)
