"""Applies a stopper to the trials of a run, with the curves it needs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from typing import cast

from tunekit.driver.foreign_curves import KnownCurves
from tunekit.driver.study_reader import StudyReader
from tunekit.executors.base import Task
from tunekit.records import CONTINUE, Decision, Report
from tunekit.samplers.threads import one_thread
from tunekit.stoppers.base import CurveView, Promoter, Stopper, checked_decision
from tunekit.storages.rows import encode


class EarlyStopping:
    """Asks a stopper which trials to end early, and which paused ones to resume.

    Args:
        reader: of the study.
        stopper: one without `promote` never promotes; without one all trials go on.
        known: curves to go on from, such as those of an earlier run.

    Attributes:
        stopper: may be exchanged for one that decides alike.
    """

    def __init__(
        self, reader: StudyReader, stopper: Stopper | None, known: KnownCurves | None = None
    ) -> None:
        self._reader = reader
        self.stopper = stopper
        known = known or KnownCurves(reader)
        self._curves, self._foreign = known.log, known.foreign
        can_promote = callable(getattr(stopper, "promote", None))
        self._promoter = cast(Promoter, stopper) if can_promote else None

    @property
    def decides(self) -> bool:
        """Return whether a report can end its trial."""
        return self.stopper is not None

    @property
    def can_promote(self) -> bool:
        """Return whether the stopper promotes trials."""
        return self._promoter is not None

    def begin(self, task: Task) -> None:
        """Keep earlier attempts' reports up to the checkpoint that the trial resumes from."""
        reports = self._curves.drop(task.number)
        if self.stopper is None or task.origin is None or task.epoch == 1:
            return
        reports = reports or self._reader.curves([task.number]).get(task.number, [])
        self._curves.put(task.number, [r for r in reports if r.step <= task.origin.step])

    def know(self, number: int, reports: Sequence[Report], *, is_whole: bool) -> None:
        """Take reports of a trial on which another process has decided.

        Args:
            number: of the trial.
            reports: in order of step.
            is_whole: whether they are its curve so far, or only follow what is known of it.
        """
        if self.stopper is None:
            return
        if is_whole:
            self._curves.put(number, list(reports))
            return
        for report in reports:
            self._curves.add(number, report)

    def follow(self, ours: Collection[int]) -> None:
        """Read the reports of other workers' trials; see `ForeignCurves.read_new`."""
        if self.stopper is not None:
            for number, reports in self._foreign.read_new(ours).items():
                self._curves.put(number, reports)

    def decide(self, number: int, report: Report) -> Decision:
        """Return the decision on a trial after a report.

        Raises:
            InvalidArgument: the stopper returned no decision, or evidence that is not JSON.
        """
        if self.stopper is None or not report.metrics:
            return CONTINUE
        self._curves.add(number, report)
        with one_thread():
            decision = self.stopper.decide(number, self._view())
        decision = checked_decision(decision, self.stopper.name)
        if decision.evidence:
            encode(decision.evidence, f'the evidence of the stopper "{self.stopper.name}"')
        return decision

    def due(self) -> Mapping[int, str]:
        """Return the paused trials that may resume now, with reasons; nothing is written."""
        if self._promoter is None or not self._reader.history.n_paused:
            return {}
        with one_thread():
            return self._promoter.promote(self._view())

    def promote(self, free: int) -> list[int]:
        """Queue up to `free` paused trials for a worker; return their numbers."""
        chosen = dict(islice(self.due().items(), free))
        promoted = self._reader.storage.promote(self._reader.record.id, chosen) if chosen else []
        if chosen:
            self._reader.refresh()
        return promoted

    def _view(self) -> CurveView:
        return CurveView(self._reader.record.spec.objectives, self._reader.history, self._curves)
