"""The curves of trials that other workers run, for a stopper that compares with them."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable

from tunekit.driver.session import Ledger
from tunekit.records import Report, TrialRecord, TrialState

EVERY_S = 1.0
"""How often the curves of running trials are read again."""


class ForeignCurves:
    """Reads the reports of others, each time only of trials that may have new ones.

    Args:
        ledger: of this worker.
        every_s: seconds between two looks at the running trials of others.
    """

    def __init__(self, ledger: Ledger, *, every_s: float = EVERY_S) -> None:
        self._ledger = ledger
        self._every_s = every_s
        self._last_look = float("-inf")
        self._seen: dict[int, int] = {}

    def news(
        self, finished: Iterable[TrialRecord], ours: Collection[int]
    ) -> dict[int, list[Report]]:
        """Return whole curves of trials of others that have grown or may have, by number.

        Args:
            finished: trials that were found to have ended since the last call.
            ours: numbers of the trials whose reports this worker has seen itself.
        """
        numbers = [t.number for t in finished if t.number not in ours]
        is_due = time.monotonic() - self._last_look >= self._every_s
        for trial in self._ledger.history.unfinished():
            if trial.number in ours or trial.state is TrialState.WAITING:
                continue
            is_new = self._seen.get(trial.number) != trial.seq  # it was claimed, or paused
            if is_new or (is_due and trial.state is TrialState.RUNNING):
                self._seen[trial.number] = trial.seq
                numbers.append(trial.number)
        if is_due:
            self._last_look = time.monotonic()
        return self._ledger.curves(numbers)
