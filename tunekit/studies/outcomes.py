"""Makes the outcome of a trial from a result that was told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tunekit.checks import shown
from tunekit.errors import InvalidArgument, InvalidResult
from tunekit.executors.results import checked_metrics, diverged_reason, missing_reason
from tunekit.records import Metrics, ObjectiveSpec, Outcome, StudySpec, TrialState
from tunekit.studies.states import state_of


def told_outcome(
    result: object,
    state: TrialState | str | None,
    reason: str,
    *,
    spec: StudySpec,
    last: Callable[[], Metrics],
) -> Outcome:
    """Return how a trial ends; one cut short without a result keeps its last reported metrics.

    Raises:
        InvalidResult: the result is missing, not a metric, or lacks one that the study needs.
        InvalidArgument: no trial ends or pauses in this state.
    """
    outcome = outcome_of(result, state, reason, spec.objectives)
    if outcome.state in (TrialState.STOPPED, TrialState.PAUSED) and result is None:
        outcome = replace(outcome, metrics=last())
        if diverged := diverged_reason(outcome.metrics, spec.objectives):
            outcome = replace(outcome, state=TrialState.DIVERGED, reason=reason or diverged)
    if outcome.state is TrialState.COMPLETE and (
        missing := missing_reason(outcome.metrics, spec.objectives, spec.constraints)
    ):
        raise InvalidResult(missing)
    return outcome


def outcome_of(
    result: object,
    state: TrialState | str | None,
    reason: str,
    objectives: tuple[ObjectiveSpec, ...],
) -> Outcome:
    """Return the outcome of a trial for a told result.

    Raises:
        InvalidResult: the result is missing or not a metric.
        InvalidArgument: no trial ends or pauses in this state.
    """
    end = TrialState.COMPLETE if state is None else state_of(state)
    if not end.is_finished and end is not TrialState.PAUSED:
        ends = [str(s) for s in TrialState if s.is_finished or s is TrialState.PAUSED]
        raise InvalidArgument(
            f"state={shown(state)}, in which no trial ends; expected one of {ends}."
        )
    if result is None:
        if end is TrialState.COMPLETE:
            raise InvalidResult(
                'got no result; tell a number, a mapping of metrics, or a state such as "failed".'
            )
        return Outcome(end, reason=reason)
    metrics = checked_metrics(result, objectives)
    diverged = diverged_reason(metrics, objectives)
    if diverged and end is TrialState.COMPLETE:
        return Outcome(TrialState.DIVERGED, metrics, reason or diverged)
    return Outcome(end, metrics, reason)
