"""Stores studies in the memory of this process, for tests, benchmarks and one-off runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from tunekit.checks import check_text
from tunekit.records import StudyRecord, StudySpec
from tunekit.spaces import Space
from tunekit.storages.checks import (
    check_key,
    check_spec,
    deleted_study,
    study_exists,
    unknown_study,
)
from tunekit.storages.edits import StudyEdits
from tunekit.storages.memory.table import MemoryTable
from tunekit.storages.reads import StorageReads
from tunekit.storages.table import StudyTable
from tunekit.storages.writes import StorageWrites

T = TypeVar("T")


class MemoryStorage(StorageReads, StorageWrites):
    """Implements the rules of `tunekit.storages.base` under one lock; thread-safe."""

    url = "memory://"

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._studies: dict[int, MemoryTable] = {}
        self._last_id = 0

    def create_study(self, spec: StudySpec, *, key: str | None = None) -> StudyRecord:
        """Create a study, or raise `StudyExists`; repeating the key returns the same study."""
        check_spec(spec)
        check_key(key)
        with self._lock:
            for study in self._studies.values():
                if study.name == spec.name:
                    if key is None or study.request(key) is None:
                        raise study_exists(spec.name)
                    return study.record()
            study = MemoryTable(self._last_id + 1, spec)
            if key is not None:
                study.add_request(key, "null")
            self._last_id = study.id
            self._studies[study.id] = study
            return study.record()

    def get_study(self, name: str) -> StudyRecord:
        """Return the study as it stands now, or raise `UnknownStudy`."""
        with self._lock:
            return self._named(name).record()

    def record(self, study_id: int) -> StudyRecord:
        """Return the study with an id as it stands now, or raise `UnknownStudy`."""
        with self._lock:
            return self._study(study_id).record()

    def list_studies(self) -> list[StudyRecord]:
        """Return all studies by name."""
        with self._lock:
            return sorted((s.record() for s in self._studies.values()), key=lambda r: r.spec.name)

    def delete_study(self, name: str) -> None:
        """Delete a study with its trials, or raise `UnknownStudy`."""
        with self._lock:
            del self._studies[self._named(name).id]

    def rename_study(self, study_id: int, name: str) -> None:
        """Give a study another name, or raise `StudyExists`."""
        check_text(name, "study name")
        with self._lock:
            study = self._study(study_id)
            if name == study.name:
                return
            if any(s.name == name for s in self._studies.values()):
                raise study_exists(name)
            StudyEdits(study, study_id).rename(study.name, name)

    def spaces(self, study_id: int) -> dict[int, Space]:
        """Return all versions of the space by number; empty before the first one."""
        with self._lock:
            return dict(self._study(study_id).spaces)

    def close(self) -> None:
        """Do nothing: this storage lives as long as the object."""

    def _read(self, study_id: int, work: Callable[[StudyTable], T]) -> T:
        with self._lock:
            return work(self._study(study_id))

    def _transact(
        self, study_id: int, work: Callable[[StudyTable], T], *, repeatable: bool = False
    ) -> T:
        with self._lock:
            table = self._study(study_id)
            before = table.look()
            try:
                return work(table)
            except BaseException:  # refused before the first change: only numbers were reserved
                table.set_study(seq=before.seq, n_trials=before.n_trials)
                raise

    def _study(self, study_id: int) -> MemoryTable:
        study = self._studies.get(study_id)
        if study is None:
            raise deleted_study(study_id)
        return study

    def _named(self, name: str) -> MemoryTable:
        for study in self._studies.values():
            if study.name == name:
                return study
        raise unknown_study(name, [s.name for s in self._studies.values()], "memory")
