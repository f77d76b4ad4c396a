"""Logs the reports of a study's trials and finds the changes in a view.

A stopper decides at every report. Reading all trials each time would make the cost of a study
quadratic in its length, so a stopper keeps what it has read and rereads only the changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tunekit.history import HistoryFollower
from tunekit.records import Report
from tunekit.stoppers.base import CurveView


class Curves(Mapping[int, Sequence[Report]]):
    """Reports by trial number; all changes go through its methods, which note them.

    Attributes:
        changes: numbers of the changed trials in order of the changes; only grows.
    """

    def __init__(self) -> None:
        self.changes: list[int] = []
        self._reports: dict[int, list[Report]] = {}

    def __getitem__(self, number: int) -> Sequence[Report]:
        return self._reports[number]

    def __iter__(self) -> Iterator[int]:
        return iter(self._reports)

    def __len__(self) -> int:
        return len(self._reports)

    def add(self, number: int, report: Report) -> None:
        """Append a report to those of a trial."""
        self._reports.setdefault(number, []).append(report)
        self.changes.append(number)

    def put(self, number: int, reports: list[Report]) -> None:
        """Replace all reports of a trial."""
        self._reports[number] = reports
        self.changes.append(number)

    def drop(self, number: int) -> Sequence[Report]:
        """Remove a trial and return its reports, none if it is unknown."""
        self.changes.append(number)
        return self._reports.pop(number, [])


class ViewFollower:
    """Names the trials that have changed between one view of a study and the next."""

    def __init__(self) -> None:
        self._history = HistoryFollower()
        self._reports: Mapping[int, Sequence[Report]] | None = None
        self._n_read = 0

    def changed(self, view: CurveView) -> set[int] | None:
        """Return the trials whose record or reports have changed since the last call.

        `None` requires reading all trials again: the view belongs to another study, or its
        reports are a plain mapping, which has no log of changes.
        """
        changed, reports = self._history.changed(view.history), view.reports
        is_same, n_read = reports is self._reports, self._n_read
        self._reports = reports
        if not isinstance(reports, Curves):
            return None
        self._n_read = len(reports.changes)
        return None if changed is None or not is_same else changed | {*reports.changes[n_read:]}
