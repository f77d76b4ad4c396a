"""Keeps the reports of one metric, and reads only what is new."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tunekit.history import History, HistoryFollower
from tunekit.records import Report, TrialRecord
from tunekit.storages.base import Storage

CHUNK = 500
"""Trials whose reports are read at once."""


@dataclass(slots=True)
class StoredCurve:
    """The reports of one trial.

    Attributes:
        epoch: lease that the reports are of; a later one may have dropped some.
        is_whole: whether the trial had ended when they were read.
        steps: in ascending order.
        values: NaN where the report lacks the metric.
    """

    epoch: int
    is_whole: bool
    steps: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("d"))


class CurveStore(Mapping[int, Sequence[Report]]):
    """The curves of a study by trial number, for one metric.

    As a mapping it gives reports with that metric alone, of the trials that have reported.
    """

    def __init__(self, storage: Storage, study_id: int, metric: str) -> None:
        self.metric = metric
        self.curves: dict[int, StoredCurve] = {}
        self._storage = storage
        self._study_id = study_id
        self._follower = HistoryFollower()

    def __getitem__(self, number: int) -> Sequence[Report]:
        curve = self.curves[number]
        pairs = zip(curve.steps, curve.values, strict=True)
        return [Report(step, {self.metric: value}) for step, value in pairs]

    def __iter__(self) -> Iterator[int]:
        return iter(self.curves)

    def __len__(self) -> int:
        return len(self.curves)

    def refresh(self, history: History) -> None:
        """Read the reports that are new: of trials that run, and of those that changed."""
        changed = self._follower.changed(history)
        if changed is None:
            self.curves.clear()
            changed = {t.number for t in history}
        changed |= {t.number for t in history.unfinished()}
        trials = [t for n in sorted(changed) if (t := history.get(n)) is not None]
        for i in range(0, len(trials), CHUNK):
            self._read(trials[i : i + CHUNK])

    def _read(self, trials: Sequence[TrialRecord]) -> None:
        after = {}
        for t in trials:
            curve = self.curves.get(t.number)
            is_whole = bool(t.state.is_finished)
            # A trial that has just ended is read whole: a report may have replaced an earlier one.
            if curve is None or curve.epoch != t.epoch or is_whole:
                self.curves[t.number] = StoredCurve(t.epoch, is_whole)
            elif curve.steps:
                after[t.number] = curve.steps[-1]
        numbers = [t.number for t in trials]
        found = self._storage.reports(self._study_id, numbers, after_step=after)
        for number, reports in found.items():
            curve = self.curves[number]
            curve.steps.extend(r.step for r in reports)
            curve.values.extend(r.metrics.get(self.metric, math.nan) for r in reports)
