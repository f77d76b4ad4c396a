"""Joins the exchanges of one study that arrive while a transaction runs into the next one.

Writers of one study take turns at its row, so n clients that write alone wait for n commits. The
requests that queue up during one commit share the following one: the batch grows with the load,
and a single client never waits for others.

Reference:
    DeWitt et al., Implementation techniques for main memory database systems, SIGMOD 1984.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from tunekit.service.access.origin import ORIGIN, RequestOrigin
from tunekit.service.coalesced import Coalesced
from tunekit.storages.base import Exchange, ExchangeRequest
from tunekit.storages.exchange import ExchangeGuard
from tunekit.storages.project import ProjectStorage

_Key = tuple[str, int]
"""Project and study, so that each request is checked against the project that it came for."""

_Item = tuple[ProjectStorage, ExchangeRequest, RequestOrigin]

GuardOf = Callable[[str, int, Sequence[RequestOrigin]], ExchangeGuard]
"""Returns what takes part in the transaction of a batch, for project, study and origins."""


class GroupCommit:
    """Runs exchanges in batches, one transaction at a time for each study.

    Args:
        on_commit: is told the answers and seconds of each transaction.
        threads: number of transactions that run at the same time, for different studies.
        guard_of: makes the guard of a batch, on the thread of its transaction; `None` for none.
    """

    def __init__(
        self,
        on_commit: Callable[[Sequence[Exchange | Exception], float], None] = lambda *_: None,
        threads: int = 8,
        *,
        guard_of: GuardOf | None = None,
    ) -> None:
        self._guard_of = guard_of
        self._on_commit = on_commit
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="tunekit-commit")
        self._batches: Coalesced[_Key, _Item, Exchange] = Coalesced(self._commit)

    async def exchange(
        self,
        storage: ProjectStorage,
        study_id: int,
        request: ExchangeRequest,
        *,
        origin: RequestOrigin | None = None,
    ) -> Exchange:
        """Return the answer to a request, committed together with others of the study.

        Args:
            storage: of the study's project.
            study_id: of the study.
            request: of one worker.
            origin: whose request it is; by default that of this task.

        Raises:
            InvalidArgument: the request cannot be stored; others of its batch are unaffected.
        """
        item = storage, request, origin or ORIGIN.get()
        return await self._batches.add((storage.project, study_id), item)

    async def close(self) -> None:
        """Commit what waits, then stop."""
        await self._batches.finish()
        self._threads.shutdown()

    async def _commit(self, key: _Key, batch: Sequence[_Item]) -> Sequence[Exchange | Exception]:
        loop, began = asyncio.get_running_loop(), time.perf_counter()
        answers: Sequence[Exchange | Exception]
        try:
            answers = await loop.run_in_executor(self._threads, self._exchange, key, batch)
        except Exception as error:  # each caller gets it
            answers = [error] * len(batch)
        self._on_commit(answers, time.perf_counter() - began)
        return answers

    def _exchange(self, key: _Key, batch: Sequence[_Item]) -> Sequence[Exchange | Exception]:
        storage, (project, study_id) = batch[0][0], key
        requests = [request for _, request, _ in batch]
        if self._guard_of is None:
            return storage.exchange_many(study_id, requests)
        guard = self._guard_of(project, study_id, [origin for _, _, origin in batch])
        return storage.exchange_guarded(study_id, requests, guard)
