"""Stores the reports of workers that send plain HTTP requests, and answers with decisions."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from tunekit.errors import InvalidArgument
from tunekit.records import CONTINUE, Decision, StudyRecord, StudyState
from tunekit.service.asking.jobs import Decide, KeepCheckpoints, NewReports, StudyRef
from tunekit.service.asking.leases import check_held
from tunekit.service.asking.pool import SuggestionPool
from tunekit.service.asking.rounds import study_ref
from tunekit.service.coalesced import Coalesced
from tunekit.service.group_commit import GroupCommit
from tunekit.storages.base import ExchangeRequest, Operation, Reports, Saved
from tunekit.storages.http.work_messages import DecisionMessage, ReportBatch, Reported
from tunekit.storages.project import ProjectStorage

MAX_KEPT = 10_000
"""Decisions that are remembered until the trials are told."""

CANCELLED = Decision("stop", "the study was cancelled")


class Reporting:
    """Stores reports and asks the study's stopper, for all trials that report at once.

    Args:
        commits: writes.
        pool: decides.
    """

    def __init__(self, commits: GroupCommit, pool: SuggestionPool) -> None:
        self._commits = commits
        self._pool = pool
        self._waiting: Coalesced[StudyRef, NewReports, Decision] = Coalesced(self._decide)
        self._kept: OrderedDict[tuple[int, int, int], Decision] = OrderedDict()

    async def report(
        self, storage: ProjectStorage, record: StudyRecord, number: int, batch: ReportBatch
    ) -> Reported:
        """Store reports, extend the lease, and return whether the trial goes on.

        Raises:
            InvalidArgument: there are no reports, or one cannot be stored.
            LeaseLost: the trial is no longer the worker's.
        """
        if not batch.reports:
            raise InvalidArgument("reports: got none, expected one or more; heartbeats need none.")
        new = NewReports(number, batch.epoch, batch.reports)
        study = study_ref(storage, record)
        operations: list[Operation] = [
            Reports(number, batch.epoch, tuple([r for r in batch.reports if r.metrics]))
        ]
        if any(r.checkpoint for r in batch.reports):
            kept = await self._pool.keep_checkpoints(KeepCheckpoints(study, new))
            operations.append(Saved(number, batch.epoch, kept))
        request = ExchangeRequest(batch.worker, operations, None, batch.lease_s)
        answer = await self._commits.exchange(storage, record.id, request)
        await check_held(storage, record, number, answer.statuses)
        if answer.study_state is StudyState.CANCELLED:
            decision = CANCELLED
        elif record.spec.stopper and any(r.metrics for r in batch.reports):
            decision = await self._waiting.add(study, new)
        else:
            decision = CONTINUE
        self._keep(record.id, new, decision)
        verdict = DecisionMessage(decision.action, decision.reason, decision.evidence)
        return Reported("ok", verdict)

    def last_decision(self, study_id: int, number: int, epoch: int) -> Decision:
        """Return the last decision with consequences for a trial, else to continue."""
        return self._kept.get((study_id, number, epoch), CONTINUE)

    async def close(self) -> None:
        """Answer all who wait."""
        await self._waiting.finish()

    async def _decide(self, study: StudyRef, batch: Sequence[NewReports]) -> Sequence[Decision]:
        return await self._pool.decide(Decide(study, tuple(batch)))

    def _keep(self, study_id: int, new: NewReports, decision: Decision) -> None:
        if decision.action == "continue" and not decision.evidence:
            return
        key = study_id, new.number, new.epoch
        self._kept[key] = decision
        self._kept.move_to_end(key)
        if len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)
