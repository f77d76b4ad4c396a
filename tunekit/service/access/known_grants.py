"""Keeps grants for a moment, so that a busy worker costs no query a request."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from fastapi.concurrency import run_in_threadpool

from tunekit.service.access.database import AccessDatabase
from tunekit.service.access.grants import Grant

KEPT_S = 1.0
"""Seconds after which a change made by another replica is seen at the latest."""

MAX_KEPT = 10_000

Read = Callable[[str], Grant | None]


@dataclass(frozen=True, slots=True)
class _Kept:
    grant: Grant
    until: float
    changes: int


class KnownGrants:
    """Looks up grants by the digest of a secret, each at most once a second.

    A change made by this process is seen at once. Only what is valid is kept: a flood of wrong
    tokens takes no memory.
    """

    def __init__(self, database: AccessDatabase, *, now: Callable[[], float] = time.monotonic):
        self._db = database
        self._now = now
        self._kept: dict[str, _Kept] = {}
        self._reading: dict[str, asyncio.Task[Grant | None]] = {}

    async def grant(self, digest: str, read: Read) -> Grant | None:
        """Return what a secret permits; `read` asks the database."""
        kept = self._kept.get(digest)
        if kept is not None and kept.until > self._now() and kept.changes == self._db.changes:
            return kept.grant
        # Many requests of one worker share one query. One that began before a change does not
        # count as newer than it.
        key = f"{self._db.changes}/{digest}"
        task = self._reading.get(key)
        if task is None:
            task = self._reading[key] = asyncio.create_task(self._read(digest, read))
            task.add_done_callback(lambda _: self._reading.pop(key, None))
        return await asyncio.shield(task)

    async def _read(self, digest: str, read: Read) -> Grant | None:
        # Both are taken before the query, because the answer may be as old as its start.
        changes, until = self._db.changes, self._now() + KEPT_S
        grant = await run_in_threadpool(read, digest)
        self._kept.pop(digest, None)
        if grant is not None:
            while len(self._kept) >= MAX_KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[digest] = _Kept(grant, until, changes)
        return grant
