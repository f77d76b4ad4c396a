"""The reports of a study's trials with a log of their changes, and what has changed in a view.

A stopper is asked at each report. If it looked at all trials each time, a study would cost the
square of its length; so it keeps what it has read and looks again at what has changed only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tunekit.history import History
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
        self._history: History | None = None
        self._reports: Mapping[int, Sequence[Report]] | None = None
        self._n_read = (0, 0)

    def changed(self, view: CurveView) -> set[int] | None:
        """Return the trials whose record or reports have changed since the last question.

        `None` if all have to be read anew: the view is that of another study, or its reports are
        a plain mapping, which notes no changes.
        """
        history, reports = view.history, view.reports
        is_same = history is self._history and reports is self._reports
        self._history, self._reports = history, reports
        n_history, n_reports = self._n_read
        noted = reports.changes if isinstance(reports, Curves) else []
        self._n_read = len(history.changes), len(noted)
        if not is_same or not isinstance(reports, Curves):
            return None
        return {*history.changes[n_history:], *noted[n_reports:]}
