"""A study as one process sees it: reads what changed, claims trials, proposes, tells.

The orchestrator and `Study.ask` / `Study.tell` both work through it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from tunekit.checkpoints.base import Checkpoints, checkpoint_name
from tunekit.driver.checkpoint_tracker import Keeper
from tunekit.driver.enqueued import EVIDENCE, credited, known_part, refusals
from tunekit.driver.run_settings import failed
from tunekit.driver.worker_id import is_known_dead, worker_name
from tunekit.errors import InvalidSpace, SpaceExhausted, TunekitError
from tunekit.executors.base import Task
from tunekit.executors.results import missing_reason
from tunekit.history import History
from tunekit.records import (
    Branch,
    Checkpoint,
    Outcome,
    Proposal,
    Report,
    StudyRecord,
    TrialRecord,
    TrialState,
    block_of,
)
from tunekit.samplers.base import Sampler, StudyView, suggested
from tunekit.spaces import Params, Space
from tunekit.spaces.discover import Discovery
from tunekit.spaces.versions import fitted
from tunekit.storages.base import (
    Claim,
    Exchange,
    Lease,
    Operation,
    Release,
    Start,
    Storage,
    Tell,
)

log = logging.getLogger("tunekit")


@dataclass(frozen=True, slots=True)
class Assignment:
    """A trial that this process holds and may run."""

    number: int
    epoch: int
    params: Params
    block: int
    user_attrs: Mapping[str, Any]
    branch: Branch | None = None
    checkpoints: tuple[Checkpoint, ...] = ()
    is_promoted: bool = False
    enqueued: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Ahead:
    """What the sampler proposes for the next numbers, and what it knew: `Start.seen`."""

    numbers: list[int]
    proposals: list[Proposal]
    seen: int
    version: int


class Ledger:
    """The view and the pen of one worker in one study.

    Attributes:
        keeper: follows the checkpoints of the trials that this process runs.
        history: all trials up to the last `refresh`.
        worker: the name under which leases are held.
        exhausted: what the sampler said when `most_trials` last found no further point.
    """

    def __init__(
        self,
        storage: Storage,
        record: StudyRecord,
        sampler: Sampler,
        checkpoints: Checkpoints | None = None,
    ) -> None:
        self.keeper = Keeper(record, checkpoints)
        self.storage = storage
        self.record = record
        self.sampler = sampler
        self.worker = worker_name()
        self.history = History(record.spec.objectives, record.spec.constraints)
        self.space_version = min(record.space_version, 1)  # 0 where the space is discovered
        self._space = record.spec.space
        self._versions = {} if self._space is None else {1: self._space}
        self._discovery = Discovery() if self._space is None else None
        self.exhausted: SpaceExhausted | None = None
        self._ahead: _Ahead | None = None
        self._fitting = self.history
        if self._space is not None:
            self.history.aim(self._space.target)
        if self._discovery is None and record.space_version != 1:
            self._use_space(record.space_version)

    @property
    def is_open(self) -> bool:
        """Return whether the space is being discovered by a define-by-run program."""
        return self._discovery is not None

    def refresh_space(self) -> None:
        """Take over the version of the space that the study has now."""
        version = self.storage.get_study(self.record.spec.name).space_version
        if self._discovery is None and version != self.space_version:
            self._use_space(version)

    @property
    def space(self) -> Space:
        """Return the space as it is now; of an open program, as far as it is discovered."""
        if self._discovery is not None:
            return self._discovery.space
        assert self._space is not None
        return self._space

    def refresh(self) -> list[TrialRecord]:
        """Read what changed; return the trials that were found to have finished."""
        changes = self.storage.changes(self.record.id, self.history.cursor)
        self._placed(changes.trials)
        finished = self.history.update(changes.trials, changes.cursor)
        if self._fitting is not self.history:
            self._fitting.update(self._adapted(changes.trials), changes.cursor)
        if self._discovery is not None:
            for trial in sorted(finished, key=lambda t: t.number):
                self._observe(self._discovery, trial)
        return finished

    def _placed(self, trials: Iterable[TrialRecord]) -> None:
        """Note at each point which version of the space it is one of."""
        for trial in trials:
            if trial.params is not None and not self.is_open:
                if trial.space_version not in self._versions:
                    self._versions = self.storage.spaces(self.record.id)
                trial.params.belongs_to(self._versions[trial.space_version])

    def _observe(self, discovery: Discovery, trial: TrialRecord) -> None:
        is_whole = trial.state in (TrialState.COMPLETE, TrialState.DIVERGED)
        try:
            discovery.observe(trial.params or {}, trial.domains, is_whole=is_whole)
        except InvalidSpace as error:  # the program changed: the trial counts, its shape does not
            log.warning("trial %d: %s", trial.number, error.message)

    def exchange(
        self,
        operations: Sequence[Operation],
        *,
        claim: int = 0,
        max_trials: int | None = None,
        lease_s: float = 60.0,
    ) -> Exchange:
        """Write operations and claim up to `claim` trials in one transaction."""
        request = Claim(claim, uuid4().hex, max_trials) if claim > 0 else None
        answer = self.storage.exchange(
            self.record.id, self.worker, operations, claim=request, lease_s=lease_s
        )
        if answer.space_version != self.space_version and self._discovery is None:
            self._use_space(answer.space_version)
        return answer

    @property
    def may_end(self) -> bool:
        """Return whether the sampler may run out of points, as a grid does."""
        return bool(getattr(self.sampler, "may_end", False))

    def most_trials(self, want: int, most: int | None) -> int | None:
        """Return how many trials the study may have after a claim of `want`, at most `most`.

        A sampler that may end is asked before numbers are taken, so that no number is left
        without a point; what it proposes is used if these numbers come.
        """
        if not self.may_end:
            return most
        known = len(self.history)
        n = want - self.history.n_waiting
        n = n if most is None else min(n, most - known)
        self.exhausted = self._ahead = None
        while n > 0 and self._ahead is None:
            numbers = list(range(known, known + n))
            try:
                proposals = suggested(self.sampler, self.view({}), numbers)
                self._ahead = _Ahead(numbers, proposals, self.history.cursor, self.space_version)
            except SpaceExhausted as error:
                self.exhausted = error
                n -= 1
        return known + max(n, 0)

    def assign(self, leases: Sequence[Lease], *, lease_s: float) -> list[Assignment]:
        """Find params for claimed trials and note that they start.

        Returns:
            The trials that are really ours; one whose lease was lost meanwhile is left out.

        Raises:
            Whatever the sampler raises, or the storage makes of its proposals; the leases are
            given back before.
        """
        refused = {} if self.is_open else refusals(leases, self.space)
        if refused:
            self.exchange(list(refused.values()), lease_s=lease_s)
            leases = [x for x in leases if x.number not in refused]
        fresh = [lease for lease in leases if lease.params is None or lease.partial]
        try:
            starts = self._propose(fresh)
            statuses = self.exchange(starts, lease_s=lease_s).statuses if starts else ()
        except BaseException as error:
            self._give_back(leases, error, lease_s=lease_s)
            raise
        proposals = {
            s.number: s.proposal
            for s, status in zip(starts, statuses, strict=True)
            if status == "ok"
        }
        out = [self._assigned(lease, proposals.get(lease.number)) for lease in leases]
        return [assignment for assignment in out if assignment is not None]

    def _assigned(self, lease: Lease, proposal: Proposal | None) -> Assignment | None:
        known = self.history.get(lease.number)
        if proposal is not None:
            params, evidence, branch = proposal.params, proposal.evidence, proposal.branch
        elif lease.params is not None and not lease.partial:  # another worker began it
            evidence = known.evidence if known is not None else {}
            params, branch = Params(lease.params, space=self._space), lease.branch
        else:
            return None
        block, names = block_of(evidence), frozenset(evidence.get(EVIDENCE, ()))
        made = Assignment(lease.number, lease.epoch, params, block, {}, branch, enqueued=names)
        if known is None:
            return made
        return replace(
            made,
            user_attrs=known.user_attrs,
            checkpoints=known.checkpoints,
            is_promoted=known.is_promoted,
        )

    def _propose(self, leases: Sequence[Lease]) -> list[Start]:
        if not leases:
            return []
        fixed = {x.number: Params(x.params, space=self._space) for x in leases if x.params}
        numbers = [x.number for x in leases]
        seen, ahead, self._ahead = self.history.cursor, self._ahead, None
        if ahead and not fixed and (ahead.numbers, ahead.version) == (numbers, self.space_version):
            proposals, seen = ahead.proposals, ahead.seen
        elif self.is_open:
            kept = known_part(self.view({}), fixed)
            proposals = suggested(self.sampler, self.view(kept), numbers)
            proposals = [
                replace(p, params=Params({**p.params, **fixed.get(n, {})}))
                for n, p in zip(numbers, proposals, strict=True)
            ]
        else:
            proposals = suggested(self.sampler, self.view(fixed), numbers)
        proposals = [
            replace(p, branch=lease.branch) if lease.branch is not None else p
            for lease, p in zip(leases, proposals, strict=True)
        ]
        batch = tuple(numbers) if len(numbers) > 1 else ()
        return [
            Start(
                lease.number,
                lease.epoch,
                credited(proposal, fixed.get(lease.number), is_open=self.is_open),
                seen,
                batch,
                self.space_version,
            )
            for lease, proposal in zip(leases, proposals, strict=True)
        ]

    def view(self, fixed: dict[int, Params]) -> StudyView:
        """Return what a sampler is shown now."""
        spec = self.record.spec
        return StudyView(
            self.space, spec.objectives, spec.constraints, spec.seed, self._fitting, fixed
        )

    def _use_space(self, version: int) -> None:
        """Take over another version of the space; samplers see the trials that lie in it."""
        self._versions = self.storage.spaces(self.record.id)
        self._space = self._versions[version]
        self.space_version = version
        target = self._space.target
        self.history.aim(target)
        self._fitting = History(self.history.objectives, self.history.constraints, target)
        self._fitting.update(self._adapted(self.history), self.history.cursor)

    def _adapted(self, trials: Iterable[TrialRecord]) -> Iterator[TrialRecord]:
        for trial in trials:
            if trial.params is None or trial.space_version == self.space_version:
                yield trial
            elif (params := fitted(trial.params, self.space)) is not None:
                yield replace(trial, params=params)

    def _give_back(self, leases: Sequence[Lease], error: BaseException, *, lease_s: float) -> None:
        """Free the leases of trials that will not start.

        A finished search (a grid at its end) leaves numbers that no proposal exists for: these
        are CANCELLED. After any other error the trials wait for a sampler that works.
        """
        reason = error.message if isinstance(error, TunekitError) else type(error).__name__
        operations: list[Operation] = []
        for x in leases:
            if isinstance(error, SpaceExhausted) and x.params is None:
                outcome = Outcome(TrialState.CANCELLED, reason=reason)
                operations.append(Tell(x.number, x.epoch, outcome, uuid4().hex))
            else:
                operations.append(Release(x.number, x.epoch, f"not started: {reason}"))
        self.exchange(operations, lease_s=lease_s)

    def task(self, assignment: Assignment) -> Task:
        """Return what an executor needs to run a trial of ours."""
        spec = self.record.spec
        number, branch, had = assignment.number, assignment.branch, assignment.checkpoints
        if branch is not None and not had:
            self.keeper.graft(number, branch, self.history.get(branch.number))
        origin = self.keeper.origin(number, had, branch)
        self.keeper.begin(number, had, origin)
        return Task(
            study=spec.name,
            number=assignment.number,
            epoch=assignment.epoch,
            params=assignment.params,
            objectives=spec.objectives,
            seed=spec.seed,
            is_open=self.is_open,
            block=assignment.block,
            user_attrs=assignment.user_attrs,
            place=self.keeper.uri,
            origin=origin,
            enqueued=assignment.enqueued,
            kept=tuple([checkpoint_name(number, c.step, c.epoch) for c in had]),
        )

    def accepted(self, outcome: Outcome) -> Outcome:
        """Return the outcome as the study takes it.

        It is without the domains that the study knows already; a complete trial that lacks a
        metric which the study bounds has FAILED, since nobody can tell whether it keeps the bound.
        """
        if outcome.state is TrialState.COMPLETE:
            spec = self.record.spec
            reason = missing_reason(outcome.metrics, spec.objectives, spec.constraints)
            if reason:
                outcome = replace(outcome, state=TrialState.FAILED, reason=reason)
        return self._known_domains_dropped(outcome)

    def _known_domains_dropped(self, outcome: Outcome) -> Outcome:
        """Return the outcome without the domains that the study knows already.

        It is FAILED if the trial asked for a parameter as another kind than the trials before.
        """
        if self._discovery is None or not outcome.domains:
            return outcome
        try:
            return replace(outcome, domains=self._discovery.news(outcome.domains))
        except InvalidSpace as error:
            is_failed = outcome.state is TrialState.FAILED
            end = outcome if is_failed else failed(error)
            return replace(end, params=None, domains={}, user_attrs=outcome.user_attrs)

    def expire_dead(self) -> list[int]:
        """End the leases of workers of this host that are gone; return the trials' numbers."""
        running = [t for t in self.history.unfinished() if t.state is TrialState.RUNNING]
        gone = [(t.number, t.epoch) for t in running if is_known_dead(t.worker)]
        if gone:
            self.storage.expire(self.record.id, gone)
        return [number for number, _ in gone]

    def has_orphans(self, ours: Container[int]) -> bool:
        """Return whether a trial that runs elsewhere seems to have lost its worker."""
        now = time.time()
        return any(
            (t.lease_until or 0.0) < now or is_known_dead(t.worker)
            for t in self.history.unfinished()
            if t.state is TrialState.RUNNING and t.number not in ours
        )

    def curves(self, numbers: Sequence[int] | None = None) -> dict[int, list[Report]]:
        """Return the reports so far of some trials, or of all, by trial number."""
        if numbers is not None and not numbers:
            return {}
        return {n: list(r) for n, r in self.storage.reports(self.record.id, numbers).items()}
