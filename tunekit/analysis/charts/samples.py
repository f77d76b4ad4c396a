"""Chooses which trials a chart shows, and makes their numbers and texts fit for it."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeVar

from tunekit.history import History
from tunekit.records import ObjectiveSpec, TrialRecord, TrialState

T = TypeVar("T")

GOOD = 0.1
"""Share of the complete, feasible trials that charts call good."""


def shown_objective(history: History, metric: str) -> ObjectiveSpec:
    """Return the objective with a metric, the first one for "", else one that minimises it."""
    named = [o for o in history.objectives if o.metric == metric]
    if named or not metric:
        return (named or history.objectives)[0]
    return ObjectiveSpec(metric)


def spread(items: Sequence[T], most: int) -> list[T]:
    """Return at most `most` items, evenly over the sequence, with both ends."""
    if len(items) <= most:
        return list(items)
    if most <= 1:
        return list(items[:most])
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]


def sample(
    trials: Sequence[TrialRecord], most: int, keep: Collection[int] = ()
) -> list[TrialRecord]:
    """Return at most `most` trials by number: those to keep, and of the others a share a state.

    No state vanishes while there is room for one trial of each.
    """
    if len(trials) <= most:
        return list(trials)
    kept = spread([t for t in trials if t.number in keep], most)
    by_state: dict[TrialState, list[TrialRecord]] = {}
    for t in trials:
        if t.number not in keep:
            by_state.setdefault(t.state, []).append(t)
    room, left = most - len(kept), sum(map(len, by_state.values()))
    for of_state in sorted(by_state.values(), key=len):  # the rarest first
        n = min(room, math.ceil(room * len(of_state) / left)) if left else 0
        kept += spread(of_state, n)
        room, left = room - n, left - len(of_state)
    return sorted(kept, key=lambda t: t.number)


def good_trials(history: History, objective: ObjectiveSpec) -> list[TrialRecord]:
    """Return the best tenth of the complete, feasible trials, the best first."""
    able = [t for t in history.complete() if history.violation(t) == 0.0]
    if len(history.objectives) > 1:
        return history.pareto()
    able.sort(key=lambda t: (objective.loss(t.metrics[objective.metric]), t.number))
    return able[: math.ceil(GOOD * len(able))]


def number(value: object) -> float | None:
    """Return a finite number, `None` for all else."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and math.isfinite(value) else None  # type: ignore[arg-type]


def predicted(trial: TrialRecord, metric: str) -> float | None:
    """Return the final value of a metric that a stopper expected of a trial."""
    return number(_forecast(trial, metric).get("predicted"))


def interval(trial: TrialRecord, metric: str) -> tuple[float | None, ...]:
    """Return the ends of the interval of `predicted`, the lower first; empty without one."""
    ends = _forecast(trial, metric).get("interval")
    return tuple([number(v) for v in ends]) if isinstance(ends, Sequence) else ()


def _forecast(trial: TrialRecord, metric: str) -> Mapping[str, Any]:
    audit = trial.stop_evidence.get("audit")
    # The verdict on an audited trial stands apart from how it ended.
    found = audit.get("evidence") if isinstance(audit, Mapping) else trial.stop_evidence
    if not isinstance(found, Mapping) or found.get("metric", metric) != metric:
        return {}
    return found


def cut(text: str, most: int = 80) -> str:
    """Return a text of at most `most` characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
