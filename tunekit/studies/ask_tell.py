"""Ask-and-tell: trials that a person or another program evaluates."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from tunekit.driver.early_stopping import EarlyStopping
from tunekit.driver.report_buffer import ReportBuffer
from tunekit.driver.worker import Worker
from tunekit.errors import (
    InvalidArgument,
    InvalidParams,
    LeaseLost,
    TrialConflict,
    UnknownTrial,
)
from tunekit.executors.base import Task
from tunekit.executors.objective import noted
from tunekit.executors.trial import Trial
from tunekit.identifiers import digest
from tunekit.records import (
    Decision,
    Metrics,
    Outcome,
    Report,
    StudyState,
    TrialRecord,
    TrialState,
)
from tunekit.spaces import Params
from tunekit.stoppers.base import Stopper
from tunekit.storages.base import Lease, Operation, Pause, Release, Saved, Status, Tell
from tunekit.studies.enqueue import given_point
from tunekit.studies.outcomes import told_outcome
from tunekit.studies.states import state_of
from tunekit.studies.trial_numbers import trial_number

GONE = Decision("stop", "the trial belongs to another worker now, or has ended")
ASK_LEASE_S = 24 * 3600.0
"""Lease of a trial asked for by hand: after a day without a result, the next caller gets it."""


class AskedTrials:
    """The trials of a study that this process has asked for but not yet told.

    Their reports take the same way as those of a run: into the buffer, which is written at once
    here, and on to the stopper, which is shown the curves of all trials.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._name = worker.reader.record.spec.name
        self._reports = ReportBuffer(worker.checkpoints)
        self._stopping = EarlyStopping(worker.reader, None)
        self._asked: dict[int, Trial] = {}

    def ask(self, stopper: Stopper | None, fixed: Mapping[str, object] | None = None) -> Trial:
        """Return the next trial of the study, held by this process; see `Study.ask`."""
        worker, self._stopping.stopper = self._worker, stopper
        lease = self._claim() if fixed is None else self._claim_new(fixed)
        worker.reader.refresh()
        assigned = worker.assign([lease], lease_s=ASK_LEASE_S)
        if not assigned:
            worker.reader.refresh()
            known = worker.reader.history.get(lease.number)
            if known is not None and known.state is TrialState.FAILED:
                raise InvalidParams(f"trial {lease.number} failed: {known.end_reason} Ask again.")
            raise LeaseLost(f"trial {lease.number} was cancelled while it was asked for.")
        try:
            task = worker.begin_at_checkpoint(assigned[0])
            self._stopping.follow({*self._asked, task.number})
            self._stopping.begin(task)
        except Exception:  # nobody would ever tell it
            back = Release(lease.number, lease.epoch, "not started")
            worker.exchange([back], lease_s=ASK_LEASE_S)
            raise
        trial = self._asked[task.number] = Trial(task, partial(self._on_report, task))
        self._reports.start_lease(task.number, task.epoch)
        return trial

    def tell(
        self,
        trial: Trial | int,
        result: object,
        *,
        state: TrialState | str | None,
        reason: str,
        skip_if_finished: bool = False,
    ) -> TrialRecord:
        """End a trial that was asked for; see `Study.tell`."""
        worker = self._worker
        worker.reader.refresh_space()
        worker.reader.refresh()
        known = self._known(trial)
        number = known.number
        if skip_if_finished and known.state.is_finished:
            return known
        asked = trial if isinstance(trial, Trial) else self._asked.get(number)
        if not isinstance(trial, Trial) and asked is not None and asked.epoch != known.epoch:
            asked = None  # another worker has taken it since
        epoch = known.epoch if asked is None else asked.epoch
        outcome = self._outcome(number, asked, result, state, reason)
        # The key is made of the result, so that only the same result may be told twice.
        content = [number, epoch, outcome.state, sorted(outcome.metrics.items())]
        key = digest(json.dumps(content).encode(), n_bytes=16).hex()
        is_pause = outcome.state is TrialState.PAUSED
        end = Pause(number, epoch, outcome) if is_pause else Tell(number, epoch, outcome, key)
        status = worker.exchange([end], lease_s=ASK_LEASE_S).statuses[0]
        worker.reader.refresh()
        if asked is not None:
            asked.close()
            self._reports.end_lease(number)
            self._stopping.follow(self._asked)
            self._asked.pop(number, None)
        return _told(worker, number, status)

    def report(
        self, trial: Trial | int, metrics: object, step: int, *, stopper: Stopper | None
    ) -> Decision:
        """Report metrics of a trial that was asked for, here or elsewhere; see `Study.report`."""
        self._worker.reader.refresh()
        known = self._known(trial)
        asked = trial if isinstance(trial, Trial) else self._asked.get(known.number)
        is_running = known.state is TrialState.RUNNING
        is_ours = asked is not None and asked.epoch == known.epoch and is_running
        if asked is None or not (is_ours or isinstance(trial, Trial)):
            asked = self._taken_up(known, stopper)
        return asked.report(metrics, step, raise_on_stop=False)

    def _taken_up(self, known: TrialRecord, stopper: Stopper | None) -> Trial:
        """Return a running trial that another process has asked for, with its curve so far."""
        if known.state is not TrialState.RUNNING:
            raise LeaseLost(
                f"trial {known.number} is {known.state} and takes no reports; ask for a new trial."
            )
        worker, self._stopping.stopper = self._worker, stopper
        lease = Lease(known.number, known.epoch, known.params)
        task = worker.begin_at_checkpoint(worker.task_of(lease))
        curve = worker.reader.curves([task.number]).get(task.number, [])
        self._stopping.follow({*self._asked, task.number})
        self._stopping.know(task.number, curve, is_whole=True)
        trial = self._asked[task.number] = Trial(task, partial(self._on_report, task))
        trial.last_report = next((r for r in reversed(curve) if r.metrics), None)
        self._reports.start_lease(task.number, task.epoch)
        return trial

    def _known(self, trial: Trial | int) -> TrialRecord:
        number = trial_number(trial)
        known = self._worker.reader.history.get(number)
        if known is None:
            raise UnknownTrial(f"study {self._name!r} has no trial {number!r}; see study.trials.")
        return known

    def _claim_new(self, fixed: Mapping[str, object]) -> Lease:
        """Return the lease of a trial with these values; those that wait go on waiting."""
        given = given_point(self._worker, fixed)
        passed: list[Operation] = []
        try:
            while (lease := self._claim(is_given=bool(given))).params is not None:
                passed.append(Release(lease.number, lease.epoch, "another one was asked for"))
        finally:
            if passed:
                self._worker.exchange(passed, lease_s=ASK_LEASE_S)
        return replace(lease, params=Params(given), partial=True) if given else lease

    def _claim(self, *, is_given: bool = False) -> Lease:
        """Claim a trial; one whose point is given needs no further point of the sampler."""
        worker = self._worker
        while True:
            worker.reader.refresh()
            most = None if is_given else worker.most_trials(1, None)
            answer = worker.exchange((), claim=1, max_trials=most, lease_s=ASK_LEASE_S)
            if answer.leases:
                return answer.leases[0]
            if answer.study_state is not StudyState.ACTIVE:
                raise InvalidArgument(
                    f"study {self._name!r} is {answer.study_state} and gives out no "
                    "trials; call study.resume() first."
                )
            if worker.exhausted is not None:
                raise worker.exhausted
            # Else another worker was faster.

    def _outcome(
        self,
        number: int,
        asked: Trial | None,
        result: object,
        state: TrialState | str | None,
        reason: str,
    ) -> Outcome:
        """Return how a trial ends, with what was noted of it where it was asked for here."""
        outcome = told_outcome(
            result,
            state,
            reason,
            spec=self._worker.reader.record.spec,
            last=lambda: self._last_metrics(number, asked),
        )
        if asked is None:
            return self._worker.reader.accepted(outcome)
        outcome = noted(asked, outcome)
        is_cut = state is not None and state_of(state) in (TrialState.STOPPED, TrialState.PAUSED)
        if is_cut and asked.should_prune():
            evidence = {**asked.last_decision.evidence, **outcome.evidence}
            why = outcome.reason or asked.last_decision.reason
            outcome = replace(outcome, reason=why, evidence=evidence)
        if outcome.state is TrialState.COMPLETE and asked.unasked:
            failed = TrialState.FAILED
            outcome = replace(outcome, state=failed, metrics={}, reason=asked.unasked)
        return self._worker.reader.accepted(outcome)

    def _last_metrics(self, number: int, asked: Trial | None) -> Metrics:
        if asked is not None:
            return asked.last_report.metrics if asked.last_report else {}
        reports = self._worker.reader.curves([number]).get(number, [])
        return next((r.metrics for r in reversed(reports) if r.metrics), {})

    def _on_report(self, task: Task, report: Report) -> Decision:
        asked = self._asked.get(task.number)
        if asked is None or asked.epoch != task.epoch:
            return GONE
        tracker = self._worker.checkpoints
        self._reports.note_report(task.number, report)
        batch = self._reports.take_operations(task.number)
        statuses = self._worker.exchange(batch, lease_s=ASK_LEASE_S).statuses
        if any(status != "ok" for status in statuses):
            return GONE
        for operation in batch:
            if isinstance(operation, Saved):
                tracker.stored(operation)
        self._worker.reader.refresh()
        self._stopping.follow(self._asked)
        return self._stopping.decide(task.number, report)


def _told(worker: Worker, number: int, status: Status) -> TrialRecord:
    told = worker.reader.history.get(number)
    assert told is not None
    if status == "conflict":
        raise TrialConflict(
            f"trial {number} has ended as {told.state} with {dict(told.metrics)}; results are "
            "final, so this one was ignored."
        )
    if status == "lost":
        raise LeaseLost(
            f"trial {number} no longer belongs to this process (it is {told.state}); the result "
            "was ignored. Ask for a new trial."
        )
    return told
