"""Reads studies by their ids, for routes that need their settings with every request."""

from __future__ import annotations

import time
from collections import OrderedDict

from fastapi.concurrency import run_in_threadpool

from tunekit.errors import UnknownStudy
from tunekit.records import StudyRecord
from tunekit.service.routes.studies import study_record
from tunekit.storages.project import ProjectStorage

FRESH_S = 0.5
"""Seconds for which a record that was read is used again."""

MAX_KEPT = 1000


class StudyRecords:
    """Remembers the studies that were read last."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, int], tuple[float, StudyRecord]] = OrderedDict()

    async def read(
        self, storage: ProjectStorage, study_id: int, *, fresh_s: float = FRESH_S
    ) -> StudyRecord:
        """Return a study as it was at most `fresh_s` seconds ago.

        Raises:
            UnknownStudy: the project has no such study.
        """
        key, now = (storage.project, study_id), time.monotonic()
        at, record = self._kept.get(key, (0.0, None))
        if record is not None and now - at <= fresh_s:
            return record
        try:
            record = await run_in_threadpool(_read, storage, study_id, record)
        except UnknownStudy:
            self._kept.pop(key, None)
            raise
        self._kept[key] = now, record
        self._kept.move_to_end(key)
        if len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)
        return record


def _read(storage: ProjectStorage, study_id: int, known: StudyRecord | None) -> StudyRecord:
    """Return a study by its name, if that is known: there may be many studies."""
    if known is not None:
        try:
            found = storage.get_study(known.spec.name)
        except UnknownStudy:
            found = None
        if found is not None and found.id == study_id:
            return found
    return study_record(storage, study_id)
