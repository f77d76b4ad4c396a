"""Writes that end or extend a worker's lease, and the error for a lost lease."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fastapi.concurrency import run_in_threadpool

from tunekit.errors import LeaseLost, TrialConflict, UnknownTrial
from tunekit.executors.objective import MAX_ERROR
from tunekit.records import Decision, Metrics, Outcome, StudyRecord, TrialState
from tunekit.storages.base import ExchangeRequest, Operation, Pause, Status, Tell
from tunekit.storages.http.work_messages import TellResult
from tunekit.storages.project import ProjectStorage
from tunekit.studies.outcomes import told_outcome


async def check_held(
    storage: ProjectStorage, record: StudyRecord, number: int, statuses: Sequence[Status]
) -> None:
    """Check that all operations on a trial were applied.

    Raises:
        TrialConflict: the trial has ended with another result.
        LeaseLost: the lease is over.
        UnknownTrial: the study has no such trial.
    """
    bad = next((status for status in statuses if status != "ok"), None)
    if bad is None:
        return
    name = record.spec.name
    if bad == "conflict":
        raise TrialConflict(
            f"trial {number} of study {name!r} has ended with another result; results are final, "
            "so this one was ignored."
        )
    now = await run_in_threadpool(storage.record, record.id)
    if not 0 <= number < now.n_trials:
        raise UnknownTrial(f"study {name!r} has no trial {number}.")
    raise LeaseLost(
        f"trial {number} of study {name!r} no longer belongs to this worker; what it sent was "
        "ignored. Ask for a new trial."
    )


def end_of(
    storage: ProjectStorage,
    record: StudyRecord,
    number: int,
    *,
    told: TellResult,
    decision: Decision,
) -> Tell | Pause:
    """Return the end of a trial for what its worker tells; may read its reports.

    Raises:
        InvalidResult: the result is missing, or lacks a metric.
        InvalidArgument: no trial ends in this state.
    """

    def last() -> Metrics:
        found = storage.reports(record.id, [number]).get(number, ())
        return next((r.metrics for r in reversed(found) if r.metrics), {})

    result = told.value if told.metrics is None else told.metrics
    outcome = told_outcome(result, told.state, told.reason, spec=record.spec, last=last)
    outcome = replace(
        _explained(outcome, told, decision),
        error=told.error[-MAX_ERROR:],
        user_attrs=told.user_attrs,
    )
    if outcome.state is TrialState.PAUSED:
        return Pause(number, told.epoch, outcome)
    return Tell(number, told.epoch, outcome, told.key)


def _explained(outcome: Outcome, told: TellResult, decision: Decision) -> Outcome:
    """Return the outcome with the decision that it follows, or whose audit it is."""
    evidence = told.evidence or decision.evidence
    if told.state in (TrialState.STOPPED, TrialState.PAUSED):
        return replace(outcome, reason=outcome.reason or decision.reason, evidence=evidence)
    audit = {"audit": evidence["audit"]} if "audit" in evidence else {}
    return replace(outcome, evidence=audit)


def request_of(worker: str, operation: Operation, lease_s: float = 60.0) -> ExchangeRequest:
    """Return the exchange of a worker that writes one operation."""
    return ExchangeRequest(worker, (operation,), None, lease_s)
