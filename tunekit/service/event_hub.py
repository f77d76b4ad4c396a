"""Wakes the streams of a study's events when something has changed.

One task for each watched study reads how far its log has got: each second, or at once after
`wake`. The second is the truth; `wake` makes it fast where this process, or a notification of the
database, knows of a change. Any number of streams wait for that task, without a thread of theirs.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from fastapi.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from tunekit.errors import QuotaReached, StorageError, UnknownStudy
from tunekit.service.middleware import Middleware

POLL_S = 1.0
"""Seconds between two looks at a study that nobody has reported a change of."""
PAUSE_S = 0.05
"""Fewest seconds between two looks, however many changes there are."""
MAX_STREAMS = 20
"""Streams that one caller may keep open."""

log = logging.getLogger("tunekit.service")


class _Watched:
    """What is known of one watched study."""

    def __init__(self) -> None:
        self.n_streams = 0
        self.seq = 0
        self.is_deleted = False
        self.hint = asyncio.Event()
        self.moved = asyncio.Condition()
        self.task: asyncio.Task[None] | None = None


class EventHub:
    """Tells streams how far a study's log has got; belongs to one event loop.

    Args:
        last_seq: returns the number of a study's last event; raises `UnknownStudy`.
    """

    def __init__(self, last_seq: Callable[[int], int]) -> None:
        self._last_seq = last_seq
        self._watched: dict[int, _Watched] = {}
        self._callers: Counter[str] = Counter()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.is_closed = False

    def wake(self, study_id: int) -> None:
        """Look at a study now: it may have changed. Any thread may call this."""
        if self._loop is not None and study_id in self._watched:
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._hint, study_id)

    @contextmanager
    def stream(self, study_id: int, caller: str) -> Iterator[None]:
        """Keep a study watched for one stream of a caller.

        Raises:
            QuotaReached: the caller has as many streams as one may have.
        """
        if self._callers[caller] >= MAX_STREAMS:
            raise QuotaReached(
                f"{MAX_STREAMS} event streams of this caller are open; close one, or read "
                "/events?after= instead."
            )
        self._callers[caller] += 1
        try:
            with self.watching(study_id):
                yield
        finally:
            self._callers -= Counter([caller])

    @contextmanager
    def watching(self, study_id: int) -> Iterator[None]:
        """Keep a study watched for a request that waits for a change."""
        self._loop = asyncio.get_running_loop()
        study = self._watched.setdefault(study_id, _Watched())
        if study.task is None:
            study.task = asyncio.create_task(self._watch(study_id, study))
        study.n_streams += 1
        try:
            yield
        finally:
            study.n_streams -= 1
            if not study.n_streams:
                study.task.cancel()
                self._watched.pop(study_id, None)

    def seq(self, study_id: int) -> int:
        """Return the last known event of a watched study, 0 before the first look."""
        return self._watched[study_id].seq

    async def later_than(self, study_id: int, seq: int, timeout_s: float) -> bool:
        """Wait until a watched study has a later event; return whether to go on streaming.

        After `timeout_s` seconds it returns in any case.
        """
        study = self._watched[study_id]
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s), study.moved:
                await study.moved.wait_for(
                    lambda: study.seq > seq or study.is_deleted or self.is_closed
                )
        return not (study.is_deleted or self.is_closed)

    async def close(self) -> None:
        """End all streams."""
        self.is_closed = True
        for study in [*self._watched.values()]:
            async with study.moved:
                study.moved.notify_all()

    def _hint(self, study_id: int) -> None:
        if study := self._watched.get(study_id):
            study.hint.set()

    async def _watch(self, study_id: int, study: _Watched) -> None:
        while not study.is_deleted:
            study.hint.clear()
            try:
                seq = await run_in_threadpool(self._last_seq, study_id)
            except UnknownStudy:
                study.is_deleted, seq = True, -1
            except StorageError as error:  # the streams outlive an outage of the database
                log.warning("events of study %d: %s", study_id, error)
                seq = study.seq
            if seq != study.seq:
                async with study.moved:
                    study.seq = seq
                    study.moved.notify_all()
            await asyncio.sleep(PAUSE_S)
            with suppress(TimeoutError):
                await asyncio.wait_for(study.hint.wait(), POLL_S)


@dataclass(eq=False)
class WakeStreams(Middleware):
    """Wraps an application; tells of a study after each request that may have changed it.

    Attributes:
        on_change: is called with the study's id.
    """

    on_change: Callable[[int], None]

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        try:
            await self.app(scope, receive, send)
        finally:
            if scope["method"] not in ("GET", "HEAD"):
                study_id = scope.get("path_params", {}).get("study_id", "")
                if study_id.isdecimal():
                    self.on_change(int(study_id))
