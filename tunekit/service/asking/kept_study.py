"""Keeps one study in a suggesting process: what was read of it, its sampler and its stopper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, cast

from tunekit import registry
from tunekit.checkpoints.base import retained
from tunekit.driver.early_stopping import EarlyStopping
from tunekit.driver.study_reader import StudyReader
from tunekit.driver.worker import Worker
from tunekit.errors import TunekitError
from tunekit.executors.base import Task
from tunekit.records import CONTINUE, Checkpoint, Decision, Report, StudyRecord, StudyState
from tunekit.samplers.sobol import SobolSampler
from tunekit.service.asking.jobs import NewReports, Proposed, Room
from tunekit.service.helper_process import Refused
from tunekit.stoppers.audited import audited
from tunekit.storages.base import Exchange, Lease, Operation, Start, Status, Storage
from tunekit.storages.http.work_messages import AskedTrial
from tunekit.studies.replay import FALLBACK


class CollectedWrites:
    """A storage for reading, which collects operations for somebody else to write."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self.operations: list[Operation] = []
        self.space_version = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def exchange(
        self, study_id: int, worker: str, operations: Sequence[Operation] = (), **_: Any
    ) -> Exchange:
        """Collect operations; the answer takes them for written."""
        self.operations += operations
        statuses: tuple[Status, ...] = tuple(["ok" for _ in operations])
        return Exchange(statuses, (), StudyState.ACTIVE, self.space_version)

    def take(self) -> tuple[Operation, ...]:
        """Return what was collected, and forget it."""
        taken, self.operations = tuple(self.operations), []
        return taken


@dataclass(slots=True)
class _Followed:
    """A trial whose reports come here: its lease, its last step and the last decision on it."""

    epoch: int
    step: int
    decision: Decision


class KeptStudy:
    """Proposes and decides for one study, exactly as a run of it would.

    Args:
        storage: to read from.
        record: of the study.

    Raises:
        InvalidArgument: its sampler or stopper is not built in, or runs code of users.
    """

    def __init__(self, storage: Storage, record: StudyRecord) -> None:
        spec = record.spec
        self._writes = CollectedWrites(storage)
        self._reader = StudyReader(cast(Storage, self._writes), record)
        sampler = registry.make("sampler", spec.sampler, spec.sampler_options)
        self._worker = Worker(self._reader, sampler)
        rule = None
        if spec.stopper:
            made = registry.make("stopper", spec.stopper, spec.stopper_options)
            rule = audited(made, seed=spec.seed, share=spec.audit)
        self._stopping = EarlyStopping(self._reader, rule)
        self._followed: dict[int, _Followed] = {}

    def __len__(self) -> int:
        return len(self._reader.history)

    def refresh(self) -> None:
        """Read what has changed.

        Raises:
            UnknownStudy: it was deleted.
        """
        reader = self._reader
        record = reader.storage.record(reader.record.id)
        reader.follow(record)
        reader.use_space(record.space_version)
        self._writes.space_version = reader.space_version
        reader.refresh()

    def find_room(self, want: int, most: int | None) -> Room:
        """Return how many trials may be claimed; see `Room`."""
        worker, history = self._worker, self._reader.history
        promotions: dict[int, str] = {}
        if self._stopping.can_promote and history.n_paused:
            self._stopping.follow(self._followed)
            promotions = dict(islice(self._stopping.due().items(), want))
        room = worker.most_trials(want - len(promotions), most)
        exhausted = worker.exhausted.message if worker.exhausted is not None else ""
        is_fixed = not worker.may_end and not self._stopping.can_promote and most is None
        n_open = len(history) - history.n_finished - history.n_paused
        return Room(is_fixed, room, exhausted, promotions, n_open)

    def propose(self, leases: Sequence[Lease], fallback: str) -> Proposed:
        """Return params for claimed trials; what is to be written is only collected."""
        worker = Worker(self._reader, SobolSampler()) if fallback else self._worker
        try:
            tasks, starts = worker.propose(leases, lease_s=1.0)
        except TunekitError as error:
            return Proposed((), self._writes.take(), Refused(error.code, error.message))
        starts = [_excused(start, fallback) for start in starts] if fallback else starts
        begun = {start.number: start for start in starts}
        trials = tuple([self._asked(task, begun.get(task.number)) for task in tasks])
        return Proposed(trials, (*self._writes.take(), *starts))

    def _asked(self, task: Task, start: Start | None) -> AskedTrial:
        known = self._reader.history.get(task.number)
        if start is not None:
            sampler, reason = start.proposal.sampler, start.proposal.reason
        else:  # it has begun before
            assert known is not None, "its claim is read"
            sampler, reason = known.sampler, known.end_reason or known.reason
        step = task.branch.step if task.branch is not None else None
        if known is not None and known.checkpoints:
            step = known.checkpoints[-1].step
        return AskedTrial(task.number, task.epoch, task.params, sampler, reason, step)

    def decide(self, batches: Sequence[NewReports]) -> list[Decision]:
        """Return the stopper's decision on each trial after its reports."""
        history = self._reader.history
        for number in list(self._followed):
            known = history.get(number)
            if known is None or known.state.is_finished:
                del self._followed[number]
        self._stopping.follow({*self._followed, *(b.number for b in batches)})
        return [self._decide(batch) for batch in batches]

    def _decide(self, batch: NewReports) -> Decision:
        followed = self._catch_up(batch)
        for report in batch.reports:
            if followed.decision.action != "continue":
                break
            if report.step > followed.step:  # else sent again, because the answer was lost
                followed.step = report.step
                followed.decision = self._stopping.decide(batch.number, report)
        return followed.decision

    def _catch_up(self, batch: NewReports) -> _Followed:
        """Read the reports that came before, to this process or to others."""
        number, first = batch.number, min(r.step for r in batch.reports)
        followed = self._followed.get(number)
        is_new = followed is None or followed.epoch != batch.epoch
        after = {} if is_new or followed is None else {number: followed.step}
        found = self._reader.storage.reports(
            self._reader.record.id, [number], after_step=after
        ).get(number, ())
        earlier: list[Report] = [r for r in found if r.step < first]
        if followed is None or followed.epoch != batch.epoch:
            last = earlier[-1].step if earlier else first - 1
            followed = self._followed[number] = _Followed(batch.epoch, last, CONTINUE)
            self._stopping.know(number, earlier, is_whole=True)
        elif earlier:
            followed.step = earlier[-1].step
            self._stopping.know(number, earlier, is_whole=False)
        return followed

    def keep_checkpoints(self, batch: NewReports) -> tuple[Checkpoint, ...]:
        """Return the checkpoints to keep of a trial, with those of its new reports."""
        known = self._reader.history.get(batch.number)
        objective = self._reader.history.objectives[0]
        new = [
            Checkpoint(r.step, batch.epoch, r.metrics.get(objective.metric))
            for r in batch.reports
            if r.checkpoint
        ]
        steps = {c.step for c in new}
        before = [c for c in (known.checkpoints if known else ()) if c.step not in steps]
        return tuple(retained([*before, *new], sign=objective.loss(1.0), keep_best=1))


def _excused(start: Start, why: str) -> Start:
    """Return a start whose proposal says why the study's sampler did not make it."""
    proposal = start.proposal
    evidence = {**proposal.evidence, FALLBACK: why}
    return replace(
        start, proposal=replace(proposal, reason=f"{proposal.reason}; {why}", evidence=evidence)
    )
