"""Reads studies by their ids, for routes that need their settings with every request."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict

from fastapi.concurrency import run_in_threadpool

from tunekit.records import StudyRecord
from tunekit.storages.project import ProjectStorage

FRESH_S = 0.5
"""Seconds for which a record that was read is used again."""

MAX_KEPT = 1000


class StudyRecords:
    """Remembers the studies that were read last; requests at the same time share a reading."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, int], tuple[float, StudyRecord]] = OrderedDict()
        self._reading: dict[tuple[str, int], asyncio.Task[StudyRecord]] = {}

    async def read(self, storage: ProjectStorage, study_id: int) -> StudyRecord:
        """Return a study as it was at most `FRESH_S` seconds ago.

        Raises:
            UnknownStudy: the project has no such study.
        """
        key = storage.project, study_id
        at, record = self._kept.get(key, (0.0, None))
        if record is not None and time.monotonic() - at <= FRESH_S:
            return record
        task = self._reading.get(key)
        if task is None:
            task = self._reading[key] = asyncio.create_task(self._read(storage, study_id))
            task.add_done_callback(lambda _: self._reading.pop(key))
        return await asyncio.shield(task)

    async def _read(self, storage: ProjectStorage, study_id: int) -> StudyRecord:
        key = storage.project, study_id
        self._kept.pop(key, None)
        began = time.monotonic()
        record = await run_in_threadpool(storage.record, study_id)
        self._kept[key] = began, record
        if len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)
        return record
