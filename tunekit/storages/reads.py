"""Implements the incremental reads of the storage contract on any `StudyTable`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import TypeVar

from tunekit.storages.base import Changes, Event
from tunekit.storages.checked import CheckedStorage, Reports, Steps
from tunekit.storages.rows import changes_of, events_of, reports_by_number
from tunekit.storages.table import Cells, StudyTable

T = TypeVar("T")


class StorageReads(CheckedStorage):
    """Validates reads and decodes their rows.

    A storage inherits the reads and defines `_read`.
    """

    @abstractmethod
    def _read(self, study_id: int, work: Callable[[StudyTable], T]) -> T:
        """Return `work(table)` of a study; `work` only reads.

        Raises:
            UnknownStudy: the study has been deleted; a storage may return empty reads instead.
        """

    def _changes(self, study_id: int, after: int, limit: int | None) -> Changes:
        def work(table: StudyTable) -> list[Cells]:
            rows = table.changed(after, limit)
            if not rows and after == 0:
                table.look()  # raises if there is no such study
            return rows

        return changes_of(self._read(study_id, work), after)

    def _reports(
        self, study_id: int, numbers: Sequence[int] | None, after: Steps, limit: int | None
    ) -> Reports:
        return reports_by_number(self._read(study_id, lambda t: t.reports(numbers, after, limit)))

    def _events(self, study_id: int, after: int, limit: int) -> list[Event]:
        return events_of(self._read(study_id, lambda t: t.events(after, limit)))
