"""Answers requests for trials: repeated ones once, waiting ones when a trial is free."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tunekit.errors import ServiceBusy
from tunekit.records import StudyRecord
from tunekit.service.asking.limits import check_ask
from tunekit.service.asking.pool import SuggestionPool
from tunekit.service.asking.rounds import Rounds, Waiting
from tunekit.service.coalesced import Coalesced
from tunekit.service.event_hub import EventHub
from tunekit.service.group_commit import GroupCommit
from tunekit.storages.http.work_messages import Ask, Asked
from tunekit.storages.project import ProjectStorage

LOOK_S = 2.0
"""Seconds after which a waiting request looks again in any case: a lease may have run out."""

BUSY_S = 1.0
"""Seconds after which a request that found the queue full may come again."""


class Asking:
    """Gives out trials to workers that let the service propose.

    Args:
        commits: writes.
        pool: proposes.
        hub: wakes those who wait for a free trial.
    """

    def __init__(self, commits: GroupCommit, pool: SuggestionPool, hub: EventHub) -> None:
        self._rounds = Rounds(commits, pool)
        self._queue = pool.settings.queue
        self._waiting: Coalesced[tuple[str, int], Waiting, Asked] = Coalesced(
            self._serve, size=lambda key: self._rounds.suggest_times.size(key[1])
        )
        self._hub = hub
        self._running: dict[tuple[str, int, str], asyncio.Task[Asked]] = {}
        self._n_queued = 0

    async def ask(self, storage: ProjectStorage, record: StudyRecord, ask: Ask) -> Asked:
        """Return trials, or none and why; see `work_messages.Ask`.

        Raises:
            InvalidArgument: the service cannot propose for the study.
            ServiceBusy: too many requests wait; nothing was claimed.
            TunekitError: the sampler refuses the study.
        """
        check_ask(record, ask)
        # Repeated while its first form is still at work, it must not propose another point.
        key = storage.project, record.id, ask.key
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = asyncio.create_task(self._ask(storage, record, ask))
            task.add_done_callback(lambda _: self._running.pop(key))
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Answer all who are being served; those who wait end with the hub."""
        await self._waiting.finish()

    async def _ask(self, storage: ProjectStorage, record: StudyRecord, ask: Ask) -> Asked:
        clock = asyncio.get_running_loop().time
        until = clock() + ask.wait_s
        asked = await self._once(storage, record, ask)
        if asked.trials or asked.is_over or not ask.wait_s:
            return asked
        with self._hub.watching(record.id):
            while not (asked.trials or asked.is_over or self._hub.is_closed) and clock() < until:
                seen = self._hub.seq(record.id)
                asked = await self._once(storage, record, ask)
                if not asked.trials and not asked.is_over:
                    left_s = min(until - clock(), LOOK_S)
                    await self._hub.later_than(record.id, seen, max(left_s, 0.0))
        return asked

    async def _once(self, storage: ProjectStorage, record: StudyRecord, ask: Ask) -> Asked:
        if self._n_queued >= self._queue:
            raise ServiceBusy(
                f"{self._n_queued} requests wait for trials, as many as this service takes; ask "
                "again later.",
                BUSY_S,
            )
        self._n_queued += 1
        try:
            return await self._waiting.add(
                (storage.project, record.id), Waiting(storage, record, ask)
            )
        finally:
            self._n_queued -= 1

    async def _serve(
        self, key: tuple[str, int], batch: Sequence[Waiting]
    ) -> Sequence[Asked | Exception]:
        return await self._rounds.serve(batch)
