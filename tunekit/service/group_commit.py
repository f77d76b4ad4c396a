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

from tunekit.storages.base import Exchange, ExchangeRequest
from tunekit.storages.project import ProjectStorage

MAX_BATCH = 64
"""Exchanges in one transaction; later ones wait for the next."""

_Waiting = tuple[ExchangeRequest, asyncio.Future[Exchange]]


class GroupCommit:
    """Runs exchanges in batches, one transaction at a time for each study.

    Args:
        on_commit: is told the answers and seconds of each transaction.
        threads: number of transactions that run at the same time, for different studies.
    """

    def __init__(
        self,
        on_commit: Callable[[Sequence[Exchange | Exception], float], None] = lambda *_: None,
        threads: int = 8,
    ) -> None:
        self._on_commit = on_commit
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="tunekit-commit")
        self._waiting: dict[int, list[_Waiting]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def exchange(
        self, storage: ProjectStorage, study_id: int, request: ExchangeRequest
    ) -> Exchange:
        """Return the answer to a request, committed together with others of the study.

        Raises:
            InvalidArgument: the request cannot be stored; others of its batch are unaffected.
        """
        answer: asyncio.Future[Exchange] = asyncio.get_running_loop().create_future()
        queue = self._waiting.get(study_id)
        if queue is None:
            self._waiting[study_id] = [(request, answer)]
            task = asyncio.create_task(self._serve(storage, study_id))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            queue.append((request, answer))
        return await answer

    async def close(self) -> None:
        """Commit what waits, then stop."""
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._threads.shutdown()

    async def _serve(self, storage: ProjectStorage, study_id: int) -> None:
        queue = self._waiting[study_id]
        try:
            while queue:
                batch, queue[:MAX_BATCH] = queue[:MAX_BATCH], []
                await self._commit(storage.exchange_many, study_id, batch)
        finally:
            del self._waiting[study_id]

    async def _commit(
        self,
        exchange_many: Callable[[int, Sequence[ExchangeRequest]], Sequence[Exchange | Exception]],
        study_id: int,
        batch: Sequence[_Waiting],
    ) -> None:
        requests = [request for request, _ in batch]
        loop, began = asyncio.get_running_loop(), time.perf_counter()
        answers: Sequence[Exchange | Exception]
        try:
            answers = await loop.run_in_executor(self._threads, exchange_many, study_id, requests)
        except Exception as error:  # each caller gets it
            answers = [error] * len(batch)
        self._on_commit(answers, time.perf_counter() - began)
        for (_, future), answer in zip(batch, answers, strict=True):
            if future.done():  # the caller has gone; what it sent is stored
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)
