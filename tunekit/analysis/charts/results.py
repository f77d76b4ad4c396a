"""Charts of results: the history and the Pareto front."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tunekit.analysis.charts.records import FrontChart, FrontPoint, HistoryChart
from tunekit.analysis.charts.samples import number, predicted, sample, spread
from tunekit.history import History
from tunekit.records import ObjectiveSpec, TrialRecord, TrialState


def history_chart(
    history: History, objective: ObjectiveSpec, *, seq: int, most: int
) -> HistoryChart:
    """Return the results by number; all improvements are shown as long as they fit."""
    improvements = _improvements(history, objective)
    shown = sample(list(history), most, set(improvements))
    numbers = {t.number for t in shown}
    return HistoryChart(
        seq, len(shown), len(history), objective.metric,
        numbers=tuple([t.number for t in shown]),
        states=tuple([str(t.state) for t in shown]),
        values=tuple([number(t.metrics.get(objective.metric)) for t in shown]),
        predicted=tuple([predicted(t, objective.metric) for t in shown]),
        improvements=tuple([n for n in improvements if n in numbers]),
        direction=objective.direction,
    )  # fmt: skip


def front_chart(history: History, *, seq: int, most: int) -> FrontChart:
    """Return the Pareto front, as much as fits of it, and a sample of the other results."""
    whole = history.pareto()
    front = spread(whole, most)
    on_front = {t.number for t in front}
    complete = history.complete()
    others = spread([t for t in complete if t.number not in on_front], most - len(front))
    goals = history.objectives
    return FrontChart(
        seq, len(front) + len(others), len(complete),
        metrics=tuple([o.metric for o in goals]),
        directions=tuple([o.direction for o in goals]),
        front=_points(front, history),
        others=_points(others, history),
        constraints=history.constraints,
        n_front=len(whole),
        n_infeasible=sum(history.violation(t) > 0.0 for t in complete),
    )  # fmt: skip


def _points(trials: Sequence[TrialRecord], history: History) -> tuple[FrontPoint, ...]:
    return tuple(
        FrontPoint(
            t.number,
            tuple([number(t.metrics.get(o.metric)) for o in history.objectives]),
            history.violation(t) == 0.0,
        )
        for t in trials
    )


def _improvements(history: History, objective: ObjectiveSpec) -> list[int]:
    """Return the numbers of feasible complete trials that beat all before them."""
    best, found = math.inf, []
    for t in history:
        value = t.metrics.get(objective.metric, math.nan)
        if t.state is TrialState.COMPLETE and -math.inf < objective.loss(value) < best:
            if history.violation(t) == 0.0 and history.is_at_target(t):
                best = objective.loss(value)
                found.append(t.number)
    return found
