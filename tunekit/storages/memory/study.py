"""One study in memory: the rules of `tunekit.storages.base` on plain Python values."""

from __future__ import annotations

import heapq
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tunekit.records import (
    Branch,
    Outcome,
    Report,
    StudyRecord,
    StudySpec,
    StudyState,
    TrialRecord,
    TrialState,
)
from tunekit.spaces import Params, Space
from tunekit.storages.base import (
    Changes,
    Claim,
    Event,
    EventKind,
    Lease,
    Operation,
    Pause,
    Release,
    Reports,
    Saved,
    Start,
    Status,
    Tell,
)
from tunekit.storages.checks import (
    lost_reason,
    preempted_reason,
    promoted_reason,
    space_conflict,
    unknown_trial,
)
from tunekit.storages.codec import normal
from tunekit.storages.memory.trial import MemoryTrial, outcome_fields
from tunekit.storages.refusals import refusal


class MemoryStudy:
    """The trials, spaces and events of one study; `MemoryStorage` holds its lock."""

    def __init__(self, study_id: int, spec: StudySpec) -> None:
        self.id = study_id
        self.spec = replace(
            spec,
            sampler_options=normal(spec.sampler_options),
            stopper_options=normal(spec.stopper_options),
            attrs=normal(spec.attrs),
        )
        self.state = StudyState.ACTIVE
        self.created = time.time()
        self.spaces: dict[int, Space] = {1: spec.space} if spec.space is not None else {}
        self.log: list[Event] = []
        self.trials: list[MemoryTrial] = []
        self._waiting: list[int] = []  # a heap; may hold numbers that wait no longer
        self._running: set[int] = set()
        self._claims: dict[str, list[int]] = {}

    def record(self) -> StudyRecord:
        """Return the study as it stands now."""
        return StudyRecord(
            self.id,
            self.spec,
            self.state,
            len(self.log),
            len(self.trials),
            len(self.spaces),
            self.created,
        )

    def trial(self, number: int) -> MemoryTrial:
        """Return a trial, or raise `UnknownTrial`."""
        if not 0 <= number < len(self.trials):
            raise unknown_trial(number, len(self.trials))
        return self.trials[number]

    def set_state(self, state: StudyState) -> None:
        """Note what the workers are asked to do."""
        if state is not self.state:
            self.state = state
            self._append("study", None, state=str(state))

    def set_attrs(self, attrs: Mapping[str, Any]) -> None:
        """Merge plain JSON into the attributes."""
        self.spec = replace(self.spec, attrs={**self.spec.attrs, **normal(attrs)})
        self._append("attrs", None)

    def set_space(self, space: Space, expected_version: int) -> int:
        """Append a version of the space, or raise `TrialConflict`."""
        if expected_version != len(self.spaces):
            raise space_conflict(expected_version, len(self.spaces))
        version = expected_version + 1
        self.spaces[version] = space
        self.spec = replace(self.spec, space=space)
        self._append("space", None, version=version)
        return version

    def enqueue(
        self,
        points: Sequence[Mapping[str, Any]],
        user_attrs: Mapping[str, Any],
        branch: Branch | None,
    ) -> list[int]:
        """Append WAITING trials; return their numbers."""
        # Normalised first: a point that is no JSON must not leave the ones before it behind.
        params = [Params(normal(dict(p), "enqueued point")) for p in points]
        attrs = normal(user_attrs)
        numbers = []
        for point in params:
            number = len(self.trials)
            record = TrialRecord(
                number,
                TrialState.WAITING,
                params=point,
                user_attrs=attrs,
                created=time.time(),
                branch=branch,
            )
            self.trials.append(MemoryTrial(record, is_partial=True))
            heapq.heappush(self._waiting, number)
            self._change(number, "enqueued")
            numbers.append(number)
        return numbers

    def set_trial_attrs(self, number: int, attrs: Mapping[str, Any]) -> None:
        """Merge plain JSON into a trial's user attributes."""
        record = self.trial(number).record
        self._change(number, "attrs", user_attrs={**record.user_attrs, **normal(attrs)})

    def cancel(self, number: int, reason: str) -> bool:
        """End an unfinished trial; return whether it was one."""
        if self.trial(number).record.state.is_finished:
            return False
        self._finish(number, TrialState.CANCELLED, "told", end_reason=reason)
        return True

    def promote(self, reasons: Mapping[int, str]) -> list[int]:
        """Let paused trials wait for a worker again; return their numbers."""
        paused = [n for n in reasons if self.trial(n).record.state is TrialState.PAUSED]
        for number in paused:
            heapq.heappush(self._waiting, number)
            self._change(
                number,
                "promoted",
                {"reason": reasons[number]},
                state=TrialState.WAITING,
                metrics={},
                end_reason=promoted_reason(reasons[number]),
                error="",
                stop_evidence={},
                domains={},
            )
        return paused

    def expire(self, leases: Sequence[tuple[int, int]]) -> None:
        """End leases now."""
        for number, epoch in leases:
            if self._holds(number, epoch):
                t = self.trials[number]
                t.record = replace(t.record, lease_until=0.0)

    def apply(self, op: Operation, lease_s: float) -> Status:
        """Apply one operation of a worker."""
        if not 0 <= op.number < len(self.trials):
            return "lost"
        if not self._holds(op.number, op.epoch):
            return self._refusal(op)
        if isinstance(op, Tell):
            self._tell(op)
        elif isinstance(op, Start):
            self._start(op)
        elif isinstance(op, Release):
            self._release(op)
        elif isinstance(op, Pause):
            self._pause(op)
        elif isinstance(op, Saved):
            self._save(op, lease_s)
        else:
            t = self.trials[op.number]
            t.record = replace(t.record, lease_until=time.time() + lease_s)
            if isinstance(op, Reports):
                t.reports.update({r.step: Report(r.step, r.metrics) for r in op.reports})
        return "ok"

    def claim(self, request: Claim, worker: str, lease_s: float) -> list[Lease]:
        """Hand out trials in the order of the contract."""
        numbers = [
            n for n in self._claims.get(request.key, ()) if self.trials[n].claim_key == request.key
        ]
        if not numbers and self.state is StudyState.ACTIVE:
            numbers = self._free_numbers(request)
            for number in numbers:
                self._take(number, request.key, worker, lease_s)
            if numbers:
                self._claims[request.key] = numbers
        numbers = sorted(numbers, key=lambda n: self.trials[n].record.seq)
        return [self._lease(n) for n in numbers]

    def changes(self, after: int) -> Changes:
        """Return the trials that changed after the cursor."""
        # Event number s stands at position s - 1, so the log is the index of changes.
        found = []
        for event in self.log[after:]:
            if event.number is not None:
                t = self.trials[event.number]
                if t.record.seq == event.seq:
                    found.append(self._shown(t))
        return Changes(tuple(found), found[-1].seq if found else after)

    def _shown(self, t: MemoryTrial) -> TrialRecord:
        # An enqueued point that is being completed is no point yet: nobody may learn from it.
        if t.is_partial and t.record.state is TrialState.RUNNING:
            return replace(t.record, params=None)
        return t.record

    def _holds(self, number: int, epoch: int) -> bool:
        if not 0 <= number < len(self.trials):
            return False
        record = self.trials[number].record
        return record.state is TrialState.RUNNING and record.epoch == epoch

    def _refusal(self, op: Operation) -> Status:
        t = self.trials[op.number]
        return refusal(
            op,
            state=t.record.state,
            epoch=t.record.epoch,
            started_epoch=t.started_epoch,
            tell_key=t.tell_key,
            has_checkpoints=isinstance(op, Saved) and t.record.checkpoints == op.checkpoints,
        )

    def _start(self, op: Start) -> None:
        t = self.trials[op.number]
        if t.started_epoch == op.epoch:
            return  # the same Start again
        p = op.proposal
        t.started_epoch = op.epoch
        t.is_partial = False
        self._change(
            op.number,
            "started",
            params=Params(p.params),
            sampler=p.sampler,
            reason=p.reason,
            evidence=normal(p.evidence),
            branch=p.branch,
            seen=op.seen,
            batch=tuple(op.batch),
            space_version=op.space_version,
            started=time.time(),
        )

    def _release(self, op: Release) -> None:
        t = self.trials[op.number]
        t.claim_key = ""
        self._running.discard(op.number)
        heapq.heappush(self._waiting, op.number)
        fields: dict[str, Any] = {"state": TrialState.WAITING}
        if op.preempted:
            reason = preempted_reason(op.reason)
            fields = outcome_fields(t, Outcome(TrialState.PREEMPTED, reason=reason))
            fields["state"] = TrialState.PREEMPTED
        kind: EventKind = "preempted" if op.preempted else "released"
        self._change(op.number, kind, {"reason": op.reason}, lease_until=None, **fields)

    def _save(self, op: Saved, lease_s: float) -> None:
        t = self.trials[op.number]
        if t.record.checkpoints == op.checkpoints:
            return  # the same again
        t.record = replace(t.record, lease_until=time.time() + lease_s)
        kept = tuple(op.checkpoints)
        stored = [[c.step, c.epoch, c.value] for c in kept]
        self._change(op.number, "checkpoint", {"checkpoints": stored}, checkpoints=kept)

    def _pause(self, op: Pause) -> None:
        t = self.trials[op.number]
        t.claim_key = ""
        self._running.discard(op.number)
        self._change(
            op.number,
            "paused",
            {"reason": op.outcome.reason},
            state=TrialState.PAUSED,
            lease_until=None,
            **outcome_fields(t, op.outcome),
        )

    def _tell(self, op: Tell) -> None:
        t, outcome = self.trials[op.number], op.outcome
        t.tell_key = op.key
        self._finish(op.number, outcome.state, "told", **outcome_fields(t, outcome))

    def _finish(self, number: int, state: TrialState, kind: EventKind, **fields: Any) -> None:
        self._running.discard(number)
        self._change(
            number,
            kind,
            {"state": str(state)},
            state=state,
            finished=time.time(),
            lease_until=None,
            **fields,
        )

    def _free_numbers(self, request: Claim) -> list[int]:
        numbers: list[int] = []
        while self._waiting and len(numbers) < request.n:
            number = heapq.heappop(self._waiting)
            state = self.trials[number].record.state
            if state in (TrialState.WAITING, TrialState.PREEMPTED) and number not in numbers:
                numbers.append(number)
        now = time.time()
        for number in sorted(self._running):
            t = self.trials[number]
            if len(numbers) == request.n:
                break
            if (t.record.lease_until or 0.0) > now:
                continue
            t.lapses += 1
            if t.lapses > self.spec.max_retries:
                self._finish(number, TrialState.LOST, "lost", end_reason=lost_reason(t.lapses))
            else:
                numbers.append(number)
        limit = len(self.trials) + request.n if request.max_trials is None else request.max_trials
        while len(numbers) < request.n and len(self.trials) < limit:
            number = len(self.trials)
            record = TrialRecord(number, TrialState.WAITING, created=time.time())
            self.trials.append(MemoryTrial(record))
            numbers.append(number)
        return numbers

    def _take(self, number: int, key: str, worker: str, lease_s: float) -> None:
        t = self.trials[number]
        t.claim_key = key
        self._running.add(number)
        if t.record.epoch:  # it has run before, and goes on after its last checkpoint
            kept = t.record.checkpoints
            last = kept[-1].step if kept else None
            for step in [s for s in t.reports if last is None or s > last]:
                del t.reports[step]
        now = time.time()
        runs_again = t.record.params is not None and not t.is_partial
        self._change(
            number,
            "claimed",
            {"worker": worker},
            state=TrialState.RUNNING,
            epoch=t.record.epoch + 1,
            worker=worker,
            lease_until=now + lease_s,
            started=now if runs_again else None,
        )

    def _lease(self, number: int) -> Lease:
        t = self.trials[number]
        r = t.record
        return Lease(number, r.epoch, r.params, t.is_partial, r.branch)

    def _append(self, kind: EventKind, number: int | None, **data: Any) -> int:
        seq = len(self.log) + 1
        self.log.append(Event(seq, kind, number, time.time(), data))
        return seq

    def _change(
        self, number: int, kind: EventKind, data: Mapping[str, Any] | None = None, **fields: Any
    ) -> None:
        seq = self._append(kind, number, **(data or {}))
        t = self.trials[number]
        t.record = replace(t.record, seq=seq, **fields)
