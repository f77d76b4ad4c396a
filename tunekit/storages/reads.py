"""Implements the incremental reads of the storage contract on any `StudyTable`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from tunekit.records import Report
from tunekit.storages.base import Changes, Event
from tunekit.storages.checks import check_page
from tunekit.storages.rows import changes_of, events_of, reports_by_number
from tunekit.storages.table import Cells, StudyTable

T = TypeVar("T")


class StorageReads(ABC):
    """Validates reads and decodes their rows.

    A storage inherits the reads and defines `_read`.
    """

    @abstractmethod
    def _read(self, study_id: int, work: Callable[[StudyTable], T]) -> T:
        """Return `work(table)` of a study; `work` only reads.

        Raises:
            UnknownStudy: the study has been deleted; a storage may return empty reads instead.
        """

    def changes(self, study_id: int, after: int = 0, limit: int | None = None) -> Changes:
        """Return the trials that changed after the cursor, at most `limit` of them."""
        check_page(after, limit)

        def work(table: StudyTable) -> list[Cells]:
            rows = table.changed(after, limit)
            if not rows and after == 0:
                table.look()  # raises if there is no such study
            return rows

        return changes_of(self._read(study_id, work), after)

    def reports(
        self,
        study_id: int,
        numbers: Sequence[int] | None = None,
        *,
        after_step: Mapping[int, int] | None = None,
        limit: int | None = None,
    ) -> dict[int, tuple[Report, ...]]:
        """Return reports by trial number, in order of step; by default of all trials."""
        check_page(0, limit)
        return reports_by_number(
            self._read(study_id, lambda t: t.reports(numbers, after_step or {}, limit))
        )

    def events(self, study_id: int, after: int = 0, limit: int = 1000) -> list[Event]:
        """Return the study's log after the cursor, in order, at most `limit` entries."""
        check_page(after, limit)
        return events_of(self._read(study_id, lambda t: t.events(after, limit)))
