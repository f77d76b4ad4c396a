"""What a stopper says of the trials of a run, and the curves that it is shown for that."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from itertools import islice
from typing import cast

from tunekit.driver.foreign_curves import ForeignCurves
from tunekit.driver.session import Ledger
from tunekit.executors.base import Task
from tunekit.records import Report, TrialRecord
from tunekit.stoppers.base import CONTINUE, CurveView, Decision, Promoter, Stopper
from tunekit.threads import one_thread


class Judge:
    """Asks a stopper which trials end early, and which of the paused ones go on.

    Args:
        ledger: of the study.
        stopper: one without `promote` never promotes; without one all trials go on.
    """

    def __init__(self, ledger: Ledger, stopper: Stopper | None) -> None:
        self._ledger = ledger
        self._stopper = stopper
        self._curves: dict[int, list[Report]] = {}
        self._foreign = ForeignCurves(ledger)
        can_promote = callable(getattr(stopper, "promote", None))
        self._promoter = cast(Promoter, stopper) if can_promote else None

    @property
    def can_promote(self) -> bool:
        """Return whether the stopper promotes at all."""
        return self._promoter is not None

    def load(self) -> None:
        """Read the curves so far."""
        if self._stopper is not None:
            self._curves |= self._ledger.curves()

    def begin(self, task: Task) -> None:
        """Keep the reports of earlier tries up to the checkpoint that the trial goes on from."""
        reports = self._curves.pop(task.number, [])
        if self._stopper is None or task.origin is None or task.epoch == 1:
            return
        reports = reports or self._ledger.curves([task.number]).get(task.number, [])
        self._curves[task.number] = [r for r in reports if r.step <= task.origin.step]

    def follow(self, finished: Iterable[TrialRecord], ours: Collection[int]) -> None:
        """Read what the trials of others have reported; see `ForeignCurves.news`."""
        if self._stopper is not None:
            self._curves |= self._foreign.news(finished, ours)

    def decide(self, number: int, report: Report) -> Decision:
        """Return whether a trial goes on after a report of it."""
        if self._stopper is None or not report.metrics:
            return CONTINUE
        self._curves.setdefault(number, []).append(report)
        with one_thread():
            return self._stopper.decide(number, self._view())

    def due(self) -> Mapping[int, str]:
        """Return the paused trials that may go on by now, with why; nothing is written."""
        if self._promoter is None or not self._ledger.history.n_paused:
            return {}
        with one_thread():
            return self._promoter.promote(self._view())

    def promote(self, free: int) -> list[int]:
        """Let up to `free` paused trials wait for a worker; return their numbers."""
        chosen = dict(islice(self.due().items(), free))
        promoted = self._ledger.storage.promote(self._ledger.record.id, chosen) if chosen else []
        if chosen:
            self._ledger.refresh()
        return promoted

    def _view(self) -> CurveView:
        return CurveView(self._ledger.record.spec.objectives, self._ledger.history, self._curves)
