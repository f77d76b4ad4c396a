"""Answers for charts, each computed once for one state of its study."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

from fastapi.concurrency import run_in_threadpool

from tunekit.errors import ServiceBusy
from tunekit.service.charts.process import ChartProcess
from tunekit.service.charts.queries import LIVE, ChartQuery
from tunekit.spaces import Space

MAX_BYTES = 32 * 2**20
"""Bytes of all kept answers together."""
LIVE_S = 5.0
"""Seconds for which a chart of reports is kept, while reports may arrive."""

WAIT_S = 10.0
"""Seconds that a request waits for a chart, which then is computed all the same."""

_Key = tuple[ChartQuery, int]


class Charts:
    """Keeps the newest charts of a service.

    Args:
        process: computes them.
        last_seq: returns the number of a study's last event; raises `UnknownStudy`.
    """

    def __init__(self, process: ChartProcess, last_seq: Callable[[int], int]) -> None:
        self.process = process
        self._last_seq = last_seq
        self._kept: OrderedDict[_Key, str] = OrderedDict()
        self._n_bytes = 0
        self._computing: dict[ChartQuery, asyncio.Task[str]] = {}

    async def chart(self, query: ChartQuery, known: str | None) -> tuple[str, str | None]:
        """Return the ETag of a chart and its JSON form, `None` if `known` is that ETag.

        Args:
            query: what to show; its `seq` is set here.
            known: header If-None-Match.

        Raises:
            UnknownStudy: there is no such study.
            ServiceBusy: too many charts are being computed, or this one takes long: a later
                request finds it done.
        """
        seq = await run_in_threadpool(self._last_seq, query.study_id)
        if query.name not in LIVE:
            if has_tag(known, tag := f'"{seq}"'):
                return tag, None
            return tag, await self._text(replace(query, seq=seq), 0)
        text = await self._text(replace(query, seq=seq), int(time.monotonic() / LIVE_S))
        tag = f'"{seq}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"'
        return tag, None if has_tag(known, tag) else text

    async def space(self, study_id: int) -> str:
        """Return the space of a study as far as it is known, as a `SpaceVersion`."""
        return await self.process.text(ChartQuery(study_id, 0, "space"))

    async def preview(self, study_id: int, space: Space) -> str:
        """Return what an edit of the space would do, as a `SpaceEdit`; stores nothing.

        Raises:
            InvalidArgument: the study's program discovers its space.
        """
        return await self.process.text(ChartQuery(study_id, 0, "preview", space=space))

    def close(self) -> None:
        """End the process."""
        self.process.close()

    async def _text(self, query: ChartQuery, slot: int) -> str:
        key = (query, slot)
        if (text := self._kept.get(key)) is not None:
            self._kept.move_to_end(key)
            return text
        task = self._computing.get(query)
        if task is None:
            task = self._computing[query] = asyncio.create_task(self.process.text(query))
            task.add_done_callback(lambda done: self._keep(key, done))
        try:
            return await asyncio.wait_for(asyncio.shield(task), WAIT_S)
        except TimeoutError:
            raise ServiceBusy(
                "the study is long, and its chart is still being computed; try again soon.",
                retry_after=5.0,
            ) from None

    def _keep(self, key: _Key, done: asyncio.Task[str]) -> None:
        del self._computing[key[0]]
        if done.cancelled() or done.exception() is not None:
            return
        self._kept[key] = text = done.result()
        self._n_bytes += len(text)
        while self._n_bytes > MAX_BYTES:
            self._n_bytes -= len(self._kept.popitem(last=False)[1])


def has_tag(known: str | None, tag: str) -> bool:
    """Return whether the header If-None-Match names an ETag."""
    return known is not None and tag in [t.strip().removeprefix("W/") for t in known.split(",")]
