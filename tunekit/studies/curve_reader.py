"""Reads the curves of single trials from the storage, in blocks."""

from __future__ import annotations

from collections.abc import Mapping

from tunekit.history import History
from tunekit.storages.base import Storage

BLOCK = 64
"""Number of trials to read together, because callers often read the next ones, too."""


class CurveReader:
    """Reads a trial's reports of the first objective, and caches one block of ended trials."""

    def __init__(self, storage: Storage, study_id: int, history: History) -> None:
        self._storage = storage
        self._study_id = study_id
        self._history = history
        self._block: dict[int, Mapping[int, float]] = {}

    def __call__(self, number: int) -> Mapping[int, float]:
        """Return the values of a trial by step."""
        if number in self._block:
            return self._block[number]
        first = number - number % BLOCK
        numbers = [n for n in range(first, first + BLOCK) if n == number or self._has_ended(n)]
        found = self._storage.reports(self._study_id, numbers)
        metric = self._history.objectives[0].metric
        curves = {
            n: {r.step: r.metrics[metric] for r in found.get(n, ()) if metric in r.metrics}
            for n in numbers
        }
        # Only an ended trial reports no more.
        self._block = {n: curve for n, curve in curves.items() if self._has_ended(n)}
        return curves[number]

    def _has_ended(self, number: int) -> bool:
        trial = self._history.get(number)
        return trial is not None and bool(trial.state.is_finished)
