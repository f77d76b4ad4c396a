"""Joins what arrives for one key while a call for it runs into the next call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Item = TypeVar("Item")
Result = TypeVar("Result")

MAX_BATCH = 64
"""Items of one call; later ones wait for the next."""


class Coalesced(Generic[Key, Item, Result]):
    """Calls a function with batches, one call at a time for each key.

    The batch grows with the load, and a single item never waits for others.

    Args:
        serve: takes a key and its items, returns a result or an error for each.
        size: returns the most items of the next batch of a key.
    """

    def __init__(
        self,
        serve: Callable[[Key, Sequence[Item]], Awaitable[Sequence[Result | Exception]]],
        *,
        size: Callable[[Key], int] = lambda key: MAX_BATCH,
    ) -> None:
        self._serve = serve
        self._size = size
        self._waiting: dict[Key, list[tuple[Item, asyncio.Future[Result]]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def add(self, key: Key, item: Item) -> Result:
        """Return the result for an item.

        Raises:
            What the function raised or returned for it.
        """
        answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        queue = self._waiting.get(key)
        if queue is None:
            self._waiting[key] = [(item, answer)]
            task = asyncio.create_task(self._run(key))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            queue.append((item, answer))
        return await answer

    async def finish(self) -> None:
        """Serve what waits."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _run(self, key: Key) -> None:
        queue = self._waiting[key]
        try:
            while queue:
                size = self._size(key)
                batch, queue[:size] = queue[:size], []
                await self._answer(key, batch)
        finally:
            del self._waiting[key]

    async def _answer(
        self, key: Key, batch: Sequence[tuple[Item, asyncio.Future[Result]]]
    ) -> None:
        results: Sequence[Result | Exception]
        try:
            results = await self._serve(key, [item for item, _ in batch])
        except Exception as error:  # each caller gets it
            results = [error] * len(batch)
        for (_, future), result in zip(batch, results, strict=True):
            if future.done():  # the caller has gone; what it sent is done
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
