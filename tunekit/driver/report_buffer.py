"""Buffers reports and writes them in batches, immediately when one carries a checkpoint."""

from __future__ import annotations

import time

from tunekit.driver.checkpoint_tracker import CheckpointTracker
from tunekit.records import Report
from tunekit.storages.base import Operation, Reports

REPORT_BATCH = 20
FLUSH_S = 0.5


class ReportBuffer:
    """Buffers the reports and new checkpoints of the trials that one process runs."""

    def __init__(self, tracker: CheckpointTracker) -> None:
        self._tracker = tracker
        self._epochs: dict[int, int] = {}
        self._reports: dict[int, list[Report]] = {}
        self._last_flush = time.monotonic()

    @property
    def is_due(self) -> bool:
        """Return whether a report has waited long enough to be written."""
        has_news = bool(self._reports) or self._tracker.has_news
        return has_news and time.monotonic() - self._last_flush >= FLUSH_S

    def start_lease(self, number: int, epoch: int) -> None:
        """Start buffering reports of a trial under its lease."""
        self._epochs[number] = epoch

    def note_report(self, number: int, report: Report) -> bool:
        """Buffer a report; return whether to write now."""
        self._tracker.note_report(number, self._epochs[number], report)
        if report.metrics:
            self._reports.setdefault(number, []).append(report)
        is_full = len(self._reports.get(number, ())) >= REPORT_BATCH
        # A checkpoint is recorded at once: it is all that survives if everything dies now.
        return is_full or report.checkpoint or self.is_due

    def take_operations(self, number: int | None = None) -> list[Operation]:
        """Return the operations to write, of one trial or of all, and empty the buffer."""
        out: list[Operation] = []
        for n in list(self._reports) if number is None else [number]:
            points = self._reports.pop(n, None)
            if points:
                out.append(Reports(n, self._epochs[n], tuple(points)))
        if number is None:  # the end of one trial does not flush the others
            self._last_flush = time.monotonic()
        return out + self._tracker.take_saved(self._epochs, number)

    def end_lease(self, number: int) -> list[Operation]:
        """Return the remaining operations of a trial that has ended."""
        left = self.take_operations(number)
        self._epochs.pop(number, None)
        return left
