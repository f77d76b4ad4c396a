"""Evaluates trials of a problem, and reads their losses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from tunekit.bench.problem import Problem
from tunekit.errors import InvalidResult
from tunekit.executors.results import checked_metrics, diverged_reason
from tunekit.records import TrialRecord, TrialState


def measured(problem: Problem, record: TrialRecord) -> TrialRecord:
    """Evaluate a trial; return it as complete, diverged (NaN or infinite) or failed (raised)."""
    assert record.params is not None
    if broken := problem.space.violated(record.params):
        why = f'breaks the constraint "{broken[0]}"'
        return replace(record, state=TrialState.FAILED, end_reason=why)
    try:
        metrics: Mapping[str, float] = checked_metrics(
            problem.evaluate(record.params), problem.objectives
        )
    except InvalidResult:
        raise  # a bug in the problem, not a failed trial
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        return replace(record, state=TrialState.FAILED, end_reason=why, error=why)
    why = diverged_reason(metrics, problem.objectives)
    state = TrialState.DIVERGED if why else TrialState.COMPLETE
    return replace(record, state=state, metrics=metrics, end_reason=why)


def feasible_losses(problem: Problem, record: TrialRecord) -> tuple[float, ...] | None:
    """Return the losses of a complete trial that satisfies the constraints, else `None`."""
    if record.state is not TrialState.COMPLETE:
        return None
    if any(c.violation(record.metrics) > 0 for c in problem.constraints):
        return None
    return _losses(problem, record.metrics)


def exact_losses(
    problem: Problem, record: TrialRecord, losses: tuple[float, ...] | None
) -> tuple[float, ...] | None:
    """Return the losses without the noise that the problem adds."""
    if losses is None or problem.exact is None:
        return losses
    assert record.params is not None
    metrics = checked_metrics(problem.exact(record.params), problem.objectives)
    exact = _losses(problem, metrics)
    return exact if all(map(math.isfinite, exact)) else None


def feasible_loss(problem: Problem, record: TrialRecord) -> float | None:
    """Return the loss in the first objective, or `None` as `feasible_losses`."""
    losses = feasible_losses(problem, record)
    return None if losses is None else losses[0]


def _losses(problem: Problem, metrics: Mapping[str, float]) -> tuple[float, ...]:
    return tuple([objective.loss(metrics[objective.metric]) for objective in problem.objectives])
