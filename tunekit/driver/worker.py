"""A client that runs trials of a study: claims them, proposes their params, tells their results.

The orchestrator and `Study.ask` / `Study.tell` both work through it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tunekit.checkpoints.base import Checkpoints, checkpoint_name
from tunekit.driver.checkpoint_tracker import CheckpointTracker
from tunekit.driver.enqueued import ANSWERS, EVIDENCE, credited, known_part, refusals
from tunekit.driver.foreign_curves import KnownCurves
from tunekit.driver.study_reader import StudyReader
from tunekit.driver.worker_id import is_known_dead, worker_name
from tunekit.errors import SpaceExhausted, TunekitError
from tunekit.executors.base import Task
from tunekit.identifiers import new_id
from tunekit.records import Outcome, Proposal, TrialState, block_of
from tunekit.samplers.base import Sampler, filled, suggested
from tunekit.spaces import Params
from tunekit.storages.base import Claim, Exchange, Lease, Operation, Release, Start, Tell


@dataclass(frozen=True, slots=True)
class _Proposed:
    """A proposal, and what it is based on (`Start.seen`, `Start.batch`, `Start.space_version`)."""

    proposal: Proposal
    seen: int
    batch: tuple[int, ...]
    version: int


class Worker:
    """Holds leases of a study under one worker name.

    Attributes:
        reader: what it knows of the study.
        sampler: proposes the params of the trials that it claims.
        checkpoints: follows the checkpoints of the trials that this process runs.
        curves: those that its runs with a stopper know, so that the next need not read them.
        name: the name under which leases are held.
        exhausted: what the sampler said when `most_trials` last found no further point.
    """

    def __init__(
        self, reader: StudyReader, sampler: Sampler, checkpoints: Checkpoints | None = None
    ) -> None:
        self.reader = reader
        self.sampler = sampler
        self.checkpoints = CheckpointTracker(reader.record, checkpoints)
        self.curves = KnownCurves(reader)
        self.name = worker_name()
        self.exhausted: SpaceExhausted | None = None
        self._ahead: dict[int, _Proposed] = {}

    def exchange(
        self,
        operations: Sequence[Operation],
        *,
        claim: int = 0,
        max_trials: int | None = None,
        lease_s: float = 60.0,
    ) -> Exchange:
        """Write operations, claim up to `claim` trials and read changes in one transaction.

        The caller passes the changes to `StudyReader.refresh` once it has noted the statuses.
        """
        request = Claim(claim, new_id(), max_trials) if claim > 0 else None
        reader = self.reader
        answer = reader.storage.exchange(
            reader.record.id,
            self.name,
            operations,
            claim=request,
            lease_s=lease_s,
            after=reader.history.cursor,
        )
        reader.use_space(answer.space_version)
        return answer

    @property
    def may_end(self) -> bool:
        """Return whether the sampler may run out of points: all may that do not deny it."""
        return bool(getattr(self.sampler, "may_end", True))

    def most_trials(self, want: int, most: int | None) -> int | None:
        """Return the maximum number of trials after a claim of `want`, at most `most`.

        A sampler that may end is asked before numbers are claimed, so that no number is left
        without a point; its proposals are used if these numbers are claimed.
        """
        if not self.may_end:
            return most
        known = len(self.reader.history)
        n = want - self.reader.history.n_waiting
        n = n if most is None else min(n, most - known)
        self.exhausted, self._ahead = None, {}
        while n > 0 and not self._ahead:
            try:
                self._ahead = self._suggested(range(known, known + n), {})
            except SpaceExhausted as error:
                self.exhausted = error
                n -= 1
        return known + max(n, 0)

    def assign(self, leases: Sequence[Lease], *, lease_s: float) -> list[Task]:
        """Find params for claimed trials and record their start.

        Returns:
            The trials that are really ours; one whose lease was lost meanwhile is left out.

        Raises:
            Whatever the sampler raises, or the storage makes of its proposals; the leases are
            given back before.
        """
        tasks, starts = self.propose(leases, lease_s=lease_s)
        try:
            statuses = self.exchange(starts, lease_s=lease_s).statuses if starts else ()
        except BaseException as error:
            self._give_back(leases, error, lease_s=lease_s)
            raise
        lost = {s.number for s, status in zip(starts, statuses, strict=True) if status != "ok"}
        return [task for task in tasks if task.number not in lost]

    def propose(
        self, leases: Sequence[Lease], *, lease_s: float
    ) -> tuple[list[Task], list[Start]]:
        """Find params for claimed trials.

        Returns:
            The tasks to run, and the starts to record. Trials whose enqueued params are not
            valid end as FAILED and are left out.

        Raises:
            Whatever the sampler raises; the leases are given back before.
        """
        refused = {} if self.reader.is_open else refusals(leases, self.reader.space)
        if refused:
            self.exchange(list(refused.values()), lease_s=lease_s)
            leases = [x for x in leases if x.number not in refused]
        try:
            starts = self._starts([x for x in leases if x.params is None or x.partial])
        except BaseException as error:
            self._give_back(leases, error, lease_s=lease_s)
            raise
        proposals = {start.number: start.proposal for start in starts}
        return [self.task_of(lease, proposals.get(lease.number)) for lease in leases], starts

    def task_of(self, lease: Lease, proposal: Proposal | None = None) -> Task:
        """Return the trial of a lease, with its proposal if this process has just made one."""
        reader = self.reader
        known = reader.history.get(lease.number)
        if proposal is not None:
            params, evidence, branch = proposal.params, proposal.evidence, proposal.branch
        else:  # another worker began it
            evidence = known.evidence if known is not None else {}
            params, branch = Params(lease.params or {}, reader.declared_space), lease.branch
        return Task(
            study=reader.record.spec.name,
            number=lease.number,
            epoch=lease.epoch,
            params=params,
            objectives=reader.record.spec.objectives,
            seed=reader.record.spec.seed,
            is_open=reader.is_open,
            block=block_of(evidence),
            user_attrs={} if known is None else known.user_attrs,
            branch=branch,
            is_promoted=known is not None and known.is_promoted,
            enqueued=frozenset(evidence.get(EVIDENCE, ())),
            answers=frozenset(evidence.get(ANSWERS, ())),
        )

    def _starts(self, leases: Sequence[Lease]) -> list[Start]:
        if not leases:
            return []
        fixed = {
            x.number: Params(x.params, self.reader.declared_space) for x in leases if x.params
        }
        found = self._found(leases, fixed)
        return [self._start(x, found[x.number], fixed.get(x.number)) for x in leases]

    def _start(self, lease: Lease, found: _Proposed, fixed: Params | None) -> Start:
        proposal, parent = found.proposal, None
        if lease.branch is not None:
            proposal = replace(proposal, branch=lease.branch)
            parent = self.reader.history.get(lease.branch.number)
        return Start(
            lease.number,
            lease.epoch,
            credited(proposal, fixed, parent, is_open=self.reader.is_open),
            found.seen,
            found.batch,
            found.version,
        )

    def _found(
        self, leases: Sequence[Lease], fixed: Mapping[int, Params]
    ) -> Mapping[int, _Proposed]:
        """Return a proposal for each claimed number.

        If the sampler meanwhile has no further point, those that it proposed before the claim
        are used, and the user's points are filled with defaults.

        Raises:
            SpaceExhausted: a number has neither.
            Whatever else the sampler raises.
        """
        numbers = [x.number for x in leases]
        ahead, self._ahead = self._ahead, {}
        if any(p.version != self.reader.space_version for p in ahead.values()):
            ahead = {}
        if not fixed and list(ahead) == numbers:
            return ahead
        try:
            return self._suggested(numbers, fixed)
        except SpaceExhausted:
            enqueued = [x.number for x in leases if x.params is not None]
            known = {**ahead, **{n: self._filled(n, fixed.get(n)) for n in enqueued}}
            if not all(n in known for n in numbers):
                raise
            return known

    def _suggested(
        self, numbers: Sequence[int], fixed: Mapping[int, Params]
    ) -> dict[int, _Proposed]:
        reader = self.reader
        kept = known_part(reader.view({}), fixed) if reader.is_open else dict(fixed)
        proposals = suggested(self.sampler, reader.view(kept), numbers)
        return {
            n: self._as_proposed(p, fixed.get(n), numbers)
            for n, p in zip(numbers, proposals, strict=True)
        }

    def _filled(self, number: int, fixed: Params | None) -> _Proposed:
        """Return the user's values with defaults for the rest."""
        reader, given = self.reader, {number: fixed} if fixed else {}
        kept = known_part(reader.view({}), given) if reader.is_open else given
        why = "the defaults, because the sampler has no further point"
        proposal = Proposal(filled(reader.view(kept), number), "default", why)
        return self._as_proposed(proposal, fixed, (number,))

    def _as_proposed(
        self, proposal: Proposal, fixed: Params | None, numbers: Sequence[int]
    ) -> _Proposed:
        answers = {**proposal.answers, **(fixed or {})}
        if self.reader.is_open and answers:  # also what the discovered part does not know
            params = Params({**proposal.params, **answers})
            evidence = proposal.evidence
            if proposal.answers:
                evidence = {**evidence, ANSWERS: list(proposal.answers)}
            proposal = replace(proposal, params=params, evidence=evidence)
        batch = tuple(numbers) if len(numbers) > 1 else ()
        return _Proposed(proposal, self.reader.history.cursor, batch, self.reader.space_version)

    def _give_back(self, leases: Sequence[Lease], error: BaseException, *, lease_s: float) -> None:
        """Release the leases of trials that will not start.

        After a finished search (such as a complete grid) no proposal exists for the remaining
        numbers, which are CANCELLED. After any other error the trials wait for a working sampler.
        """
        reason = error.message if isinstance(error, TunekitError) else type(error).__name__
        operations: list[Operation] = []
        for x in leases:
            if isinstance(error, SpaceExhausted) and x.params is None:
                outcome = Outcome(TrialState.CANCELLED, reason=reason)
                operations.append(Tell(x.number, x.epoch, outcome, new_id()))
            else:
                operations.append(Release(x.number, x.epoch, f"not started: {reason}"))
        self.exchange(operations, lease_s=lease_s)

    def begin_at_checkpoint(self, task: Task) -> Task:
        """Return the task with the checkpoint that it starts from.

        Copies the checkpoint that it branches from, and tracks its checkpoints from now on.
        """
        number, tracker = task.number, self.checkpoints
        known = self.reader.history.get(number)
        had = () if known is None else known.checkpoints
        if task.branch is not None and not had:
            tracker.copy_branch(number, task.branch, self.reader.history.get(task.branch.number))
        origin = tracker.origin(number, had, task.branch)
        tracker.begin(number, had, origin)
        kept = tuple([checkpoint_name(number, c.step, c.epoch) for c in had])
        return replace(task, place=tracker.uri, origin=origin, kept=kept)

    def expire_dead(self) -> list[int]:
        """Expire the leases of dead workers on this host; return the trials' numbers."""
        running = [t for t in self.reader.history.unfinished() if t.state is TrialState.RUNNING]
        gone = [(t.number, t.epoch) for t in running if is_known_dead(t.worker)]
        if gone:
            self.reader.storage.expire(self.reader.record.id, gone)
        return [number for number, _ in gone]
