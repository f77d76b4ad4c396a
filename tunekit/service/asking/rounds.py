"""Gives out trials of a study, in rounds for all who wait: claim, propose, start.

The numbers are claimed with a short lease, so that a service that dies in the middle hides them
for seconds only; the start extends it to what the worker asked for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar, cast

from fastapi.concurrency import run_in_threadpool

from tunekit.errors import SpaceExhausted, TunekitError
from tunekit.records import StudyRecord, StudyState
from tunekit.service.access.origin import ORIGIN, RequestOrigin
from tunekit.service.asking.jobs import FindRoom, Propose, Proposed, Room, StudyRef
from tunekit.service.asking.pool import SuggestionPool
from tunekit.service.asking.suggest_times import SuggestTimes
from tunekit.service.group_commit import GroupCommit
from tunekit.service.helper_process import Refused
from tunekit.storages.base import (
    Claim,
    Exchange,
    ExchangeRequest,
    Lease,
    Operation,
    Release,
    Renew,
)
from tunekit.storages.http.connection import class_of, error_of
from tunekit.storages.http.work_messages import Ask, Asked
from tunekit.storages.project import ProjectStorage

T = TypeVar("T")

CLAIM_S = 10.0
"""Lease of a claimed number until its trial starts; renewed while the sampler works."""

RENEW_S = 4.0

NO_TRIAL = "no trial is free"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request for trials of a study."""

    storage: ProjectStorage
    record: StudyRecord
    ask: Ask
    origin: RequestOrigin = field(default_factory=ORIGIN.get)


class Rounds:
    """Serves the requests for trials of one study together.

    Args:
        commits: writes all that is written.
        pool: proposes.
    """

    def __init__(self, commits: GroupCommit, pool: SuggestionPool) -> None:
        self._commits = commits
        self._pool = pool
        self._always: dict[int, Room] = {}
        self.suggest_times = SuggestTimes(pool.settings.deadline_s)

    async def serve(self, batch: Sequence[Waiting]) -> Sequence[Asked | Exception]:
        """Return the answer or error for each request, in order.

        Raises:
            TunekitError: the study cannot be asked for trials; nothing was claimed.
        """
        first = batch[0]
        study = study_ref(first.storage, first.record)
        numbers = [min(w.ask.n, self.suggest_times.most(study.id, len(batch))) for w in batch]
        room = await self._find_room(first, study, sum(numbers))
        claims = await _settled(
            self._claim(w, n, room.most) for w, n in zip(batch, numbers, strict=True)
        )
        proposed = await self._propose(study, batch, claims)
        given = [
            self._give(w, claim, proposed, room) for w, claim in zip(batch, claims, strict=True)
        ]
        return await _settled(given)

    async def _find_room(self, first: Waiting, study: StudyRef, want: int) -> Room:
        most = first.record.spec.max_trials
        known = self._always.get(study.id)
        if known is not None and most is None:
            return known
        room = await self._pool.find_room(FindRoom(study, want, most))
        if room.is_fixed:
            self._always[study.id] = room
        if room.promotions:
            await run_in_threadpool(first.storage.promote, study.id, room.promotions)
        return room

    async def _claim(self, waiting: Waiting, n: int, most: int | None) -> Exchange:
        claim = Claim(n, waiting.ask.key, most)
        request = ExchangeRequest(waiting.ask.worker, (), claim, CLAIM_S)
        return await self._exchange(waiting, request)

    async def _exchange(self, waiting: Waiting, request: ExchangeRequest) -> Exchange:
        storage, study_id = waiting.storage, waiting.record.id
        return await self._commits.exchange(storage, study_id, request, origin=waiting.origin)

    async def _propose(
        self, study: StudyRef, batch: Sequence[Waiting], claims: Sequence[Exchange | Exception]
    ) -> Proposed:
        """Propose params for all claimed trials while renewing their leases."""
        held = [
            (w, claim.leases)
            for w, claim in zip(batch, claims, strict=True)
            if isinstance(claim, Exchange) and claim.leases
        ]
        leases = tuple(sorted((x for _, own in held for x in own), key=lambda x: x.number))
        if not leases:
            return Proposed((), ())
        began = time.monotonic()
        work = asyncio.ensure_future(self._pool.propose(Propose(study, leases)))
        while not (await asyncio.wait({work}, timeout=RENEW_S))[0]:
            await _settled(self._renew(w, own) for w, own in held)
        try:
            proposed = work.result()
        except TunekitError as error:
            return _given_back(leases, error)
        self.suggest_times.note(study.id, len(leases), time.monotonic() - began)
        return proposed

    async def _renew(self, waiting: Waiting, leases: Iterable[Lease]) -> Exchange:
        operations = [Renew(x.number, x.epoch) for x in leases]
        request = ExchangeRequest(waiting.ask.worker, operations, None, CLAIM_S)
        return await self._exchange(waiting, request)

    async def _give(
        self, waiting: Waiting, claim: Exchange | Exception, proposed: Proposed, room: Room
    ) -> Asked:
        """Start the trials of one request, and return them."""
        if isinstance(claim, Exception):
            raise claim
        if not claim.leases:
            return _nothing(waiting.record, claim, room)
        own = {x.number for x in claim.leases}
        trials = [t for t in proposed.trials if t.number in own]
        operations: list[Operation] = [op for op in proposed.operations if op.number in own]
        named = {op.number for op in operations}
        operations += [Renew(t.number, t.epoch) for t in trials if t.number not in named]
        request = ExchangeRequest(waiting.ask.worker, operations, None, waiting.ask.lease_s)
        try:
            answer = await self._exchange(waiting, request)
        except TunekitError as error:
            back = _given_back(claim.leases, error).operations
            await self._exchange(waiting, replace(request, operations=back))
            raise
        pairs = zip(operations, answer.statuses, strict=True)
        lost = {op.number for op, status in pairs if status != "ok"}
        kept = tuple([t for t in trials if t.number not in lost])
        if not kept and proposed.error is not None:
            return _refused(proposed.error, answer.study_state)
        reason = "" if kept else NO_TRIAL
        return Asked(kept, answer.study_state, reason, is_over=False)


async def _settled(awaitables: Iterable[Awaitable[T]]) -> list[T | Exception]:
    """Return the result or error of each."""
    found = await asyncio.gather(*awaitables, return_exceptions=True)
    for result in found:
        if isinstance(result, BaseException) and not isinstance(result, Exception):
            raise result  # the service is shutting down
    return cast("list[T | Exception]", found)


def _given_back(leases: Sequence[Lease], error: TunekitError) -> Proposed:
    """Return the releases of trials that will not start."""
    reason = f"not started: {error.message}"
    releases = tuple([Release(x.number, x.epoch, reason) for x in leases])
    return Proposed((), releases, Refused(error.code, error.message))


def _refused(error: Refused, state: StudyState) -> Asked:
    """Return that there is no point left, or raise what prevented the proposals."""
    if issubclass(class_of(error.code), SpaceExhausted):
        return Asked((), state, error.message, is_over=False)
    raise error_of(error.code, error.message)


def _nothing(record: StudyRecord, claim: Exchange, room: Room) -> Asked:
    """Return why there are no trials, and whether there may be some later."""
    state = claim.study_state
    if state is not StudyState.ACTIVE:
        is_over = state in (StudyState.STOPPED, StudyState.CANCELLED)
        return Asked((), state, f"the study is {state}", is_over=is_over)
    if claim.held_back:
        return Asked((), state, claim.held_back, is_over=False)
    most = record.spec.max_trials
    if room.exhausted:
        reason = room.exhausted
    elif most is not None:
        reason = f"max_trials reached: the study has its {most} trials"
    else:
        return Asked((), state, NO_TRIAL, is_over=False)
    return Asked((), state, reason, is_over=room.n_open == 0)


def study_ref(storage: ProjectStorage, record: StudyRecord) -> StudyRef:
    """Return how suggesting processes, which see all projects, find a study."""
    return StudyRef(record.id, f"{storage.project}/{record.spec.name}")
