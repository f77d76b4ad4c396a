"""Reads the curves of other workers' trials, for a stopper that compares with them."""

from __future__ import annotations

import time
from collections.abc import Collection

from tunekit.driver.study_reader import StudyReader
from tunekit.records import Report, TrialState
from tunekit.stoppers.curve_log import Curves

EVERY_S = 1.0
"""Seconds between two reads of running trials' curves."""


class ForeignCurves:
    """Reads other workers' reports, only of trials that may have new ones.

    Args:
        reader: reader of this worker.
        every_s: seconds between two reads of other workers' running trials.
    """

    def __init__(self, reader: StudyReader, *, every_s: float = EVERY_S) -> None:
        self._reader = reader
        self._every_s = every_s
        self._last_look = float("-inf")
        self._seen: dict[int, int] = {}
        self._open: set[int] = set()
        self._n_known = 0

    def read_new(self, ours: Collection[int]) -> dict[int, list[Report]]:
        """Return whole curves of other workers' trials that may have grown, by number.

        The first call returns all curves.

        Args:
            ours: numbers of the trials whose reports this worker receives itself.
        """
        history, is_first = self._reader.history, not self._n_known
        is_due = time.monotonic() - self._last_look >= self._every_s
        if is_due:
            self._last_look = time.monotonic()
        numbers = []
        self._open.update(range(self._n_known, len(history)))
        self._n_known = len(history)
        for number in sorted(self._open):
            trial = history.get(number)
            assert trial is not None, "numbers have no gaps"
            if trial.state.is_finished:
                self._open.discard(number)
                self._seen.pop(number, None)
            if number in ours or trial.state is TrialState.WAITING:
                continue
            is_new = self._seen.get(number) != trial.seq  # it was claimed, or paused
            if trial.state.is_finished:
                numbers.append(number)
            elif is_new or (is_due and trial.state is TrialState.RUNNING):
                self._seen[number] = trial.seq
                numbers.append(number)
        found = self._reader.curves(None if is_first and numbers else numbers)
        return {n: reports for n, reports in found.items() if n not in ours}


class KnownCurves:
    """The curves of a study as far as a worker knows them; runs with a stopper add to them.

    Attributes:
        log: reports of this worker's trials and of those that it has read.
        foreign: reads those of other workers, and of what ran here without a stopper.
    """

    def __init__(self, reader: StudyReader) -> None:
        self.log = Curves()
        self.foreign = ForeignCurves(reader)
