"""Trials that a person or another program evaluates by hand: ask, report, tell."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from hashlib import blake2b
from numbers import Integral
from typing import Any

from tunekit.driver.session import Ledger
from tunekit.errors import (
    InvalidArgument,
    InvalidResult,
    LeaseLost,
    TrialConflict,
    UnknownTrial,
    did_you_mean,
)
from tunekit.executors.base import Task
from tunekit.executors.trial import Trial
from tunekit.records import (
    Objective,
    Outcome,
    Report,
    TrialRecord,
    TrialState,
    checked_metrics,
    diverged_reason,
)
from tunekit.stoppers.base import CONTINUE, CurveView, Decision, Stopper
from tunekit.storages.base import Pause, Reports, Tell
from tunekit.threads import one_thread

ASK_LEASE_S = 24 * 3600.0
"""A trial that was asked for by hand is told within a day, or goes to the next one who asks."""


def ask(ledger: Ledger, stopper: Stopper | None) -> Trial:
    """Return the next trial of the study, held by this process; see `Study.ask`."""
    ledger.refresh()
    answer = ledger.exchange((), claim=1, lease_s=ASK_LEASE_S)
    if not answer.leases:
        raise InvalidArgument(
            f"study {ledger.record.spec.name!r} is {answer.study_state} and gives out no trials; "
            "call study.resume() first."
        )
    ledger.refresh()
    assigned = ledger.assign(answer.leases, lease_s=ASK_LEASE_S)
    if not assigned:
        raise LeaseLost(f"trial {answer.leases[0].number} was cancelled while it was asked for.")
    task = ledger.task(assigned[0])
    return Trial(task, partial(_store_report, ledger, stopper, task))


def tell(
    ledger: Ledger,
    trial: Trial | int,
    result: object,
    *,
    state: TrialState | str | None,
    reason: str,
) -> TrialRecord:
    """End a trial that was asked for; see `Study.tell`."""
    ledger.refresh()
    number = _number(trial)
    known = ledger.history.get(number)
    if known is None:
        raise UnknownTrial(
            f"study {ledger.record.spec.name!r} has no trial {number!r}; see study.trials."
        )
    epoch = trial.epoch if isinstance(trial, Trial) else known.epoch
    if isinstance(trial, Trial):
        trial.close()
    outcome = outcome_of(result, state, reason, ledger.record.spec.objectives)
    if isinstance(trial, Trial):
        outcome = replace(
            outcome, user_attrs=dict(trial.user_attrs), evidence=_evidence(trial, outcome)
        )
        if ledger.is_open:
            outcome = replace(outcome, params=trial.params, domains=trial.domains)
    accepted = ledger.accepted(outcome)
    if accepted.state is not outcome.state:
        raise InvalidResult(accepted.reason)
    outcome = accepted
    # The key is made of the result, so that only the same result may be told twice.
    content = [number, epoch, outcome.state, sorted(outcome.metrics.items())]
    key = blake2b(json.dumps(content).encode(), digest_size=16).hexdigest()
    is_pause = outcome.state is TrialState.PAUSED
    end = Pause(number, epoch, outcome) if is_pause else Tell(number, epoch, outcome, key)
    status = ledger.exchange([end], lease_s=ASK_LEASE_S).statuses[0]
    ledger.refresh()
    told = ledger.history.get(number)
    assert told is not None
    if status == "conflict":
        raise TrialConflict(
            f"trial {number} has ended as {told.state} with {dict(told.metrics)}; a result is "
            "final, so this one was not taken."
        )
    if status == "lost":
        raise LeaseLost(
            f"trial {number} is not ours any more (it is {told.state}); the result was not taken. "
            "Ask for a new trial."
        )
    return told


def _evidence(trial: Trial, outcome: Outcome) -> dict[str, Any]:
    """Return what the stopper said of the trial, by which it ended or in spite of which it ran."""
    if trial.verdict:
        return {"audit": trial.verdict}
    is_stopped = outcome.state is TrialState.STOPPED and trial.should_prune()
    return dict(trial.last_decision.evidence) if is_stopped else {}


def _number(trial: object) -> int:
    if isinstance(trial, Trial):
        return trial.number
    if isinstance(trial, Integral) and not isinstance(trial, bool):  # NumPy's integers as well
        return int(trial)
    raise InvalidArgument(
        f"trial={trial!r}, expected what ask() gave or its number; give the number as an int."
    )


def outcome_of(
    result: object,
    state: TrialState | str | None,
    reason: str,
    objectives: tuple[Objective, ...],
) -> Outcome:
    """Return how a trial ends for what was told of it.

    Raises:
        InvalidResult: no result where one is needed, or one that is no metric.
        InvalidArgument: a state in which no trial ends or pauses.
    """
    ends = {s.value: s for s in TrialState if s.is_finished or s is TrialState.PAUSED}
    if state is not None and str(state) not in ends:
        raise InvalidArgument(
            f"state={state!r}{did_you_mean(str(state), ends)}, expected one of {list(ends)}."
        )
    if result is None:
        if state is None or ends[str(state)] is TrialState.COMPLETE:
            raise InvalidResult(
                'got no result; tell a number, a mapping of metrics, or a state such as "failed".'
            )
        return Outcome(ends[str(state)], reason=reason)
    metrics = checked_metrics(result, objectives)
    diverged = diverged_reason(metrics, objectives)
    if diverged and (state is None or ends[str(state)] is TrialState.COMPLETE):
        return Outcome(TrialState.DIVERGED, metrics, reason or diverged)
    return Outcome(ends[str(state or TrialState.COMPLETE)], metrics, reason)


def _store_report(ledger: Ledger, stopper: Stopper | None, task: Task, report: Report) -> Decision:
    keeper = ledger.keeper
    keeper.note(task.number, task.epoch, report)
    notes = keeper.news({task.number: task.epoch}, task.number)
    write = Reports(task.number, task.epoch, (report,) if report.metrics else ())
    statuses = ledger.exchange([write, *notes], lease_s=ASK_LEASE_S).statuses
    if statuses[0] != "ok":
        return Decision("stop", "the trial belongs to another worker now, or has ended")
    for note, status in zip(notes, statuses[1:], strict=True):
        if status == "ok":
            keeper.stored(note)
    if stopper is None or not report.metrics:
        return CONTINUE
    ledger.refresh()
    objectives = ledger.record.spec.objectives
    view = CurveView(objectives, ledger.history, ledger.curves())
    with one_thread():
        return stopper.decide(task.number, view)
