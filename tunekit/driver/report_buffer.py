"""Reports on their way to the storage: written in batches, and at once where a checkpoint is."""

from __future__ import annotations

import time

from tunekit.driver.checkpoint_tracker import CheckpointTracker
from tunekit.records import Report
from tunekit.storages.base import Operation, Reports

REPORT_BATCH = 20
FLUSH_S = 0.5


class ReportBuffer:
    """Holds the reports and new checkpoints of the trials that one process runs."""

    def __init__(self, tracker: CheckpointTracker) -> None:
        self._tracker = tracker
        self._epochs: dict[int, int] = {}
        self._reports: dict[int, list[Report]] = {}
        self._last_flush = time.monotonic()

    @property
    def is_due(self) -> bool:
        """Return whether something has waited long enough."""
        has_news = bool(self._reports) or self._tracker.has_news
        return has_news and time.monotonic() - self._last_flush >= FLUSH_S

    def begin(self, number: int, epoch: int) -> None:
        """Take reports of a trial under its lease from now on."""
        self._epochs[number] = epoch

    def note(self, number: int, report: Report) -> bool:
        """Keep a report; return whether to write now."""
        self._tracker.note(number, self._epochs[number], report)
        if report.metrics:
            self._reports.setdefault(number, []).append(report)
        is_full = len(self._reports.get(number, ())) >= REPORT_BATCH
        # A checkpoint is noted at once: it is what is left if everything dies now.
        return is_full or report.checkpoint or self.is_due

    def take(self, number: int | None = None) -> list[Operation]:
        """Return what there is to write, of one trial or of all."""
        out: list[Operation] = []
        for n in list(self._reports) if number is None else [number]:
            points = self._reports.pop(n, None)
            if points:
                out.append(Reports(n, self._epochs[n], tuple(points)))
        if number is None:  # what one trial leaves at its end says nothing of the others'
            self._last_flush = time.monotonic()
        return out + self._tracker.news(self._epochs, number)

    def end(self, number: int) -> list[Operation]:
        """Return what is left to write of a trial that runs no longer."""
        left = self.take(number)
        self._epochs.pop(number, None)
        return left
