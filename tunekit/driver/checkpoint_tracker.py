"""The driver's side of checkpoints: tracks them, decides which to keep and where trials start."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence

from tunekit.checkpoints.base import BRANCH_EPOCH, Checkpoints, checkpoint_name, retained
from tunekit.checkpoints.places import open_place
from tunekit.errors import CheckpointError, InvalidArgument, UnknownCheckpoint
from tunekit.executors.base import Origin
from tunekit.records import Branch, Checkpoint, Report, StudyRecord, TrialRecord
from tunekit.storages.base import Saved

log = logging.getLogger("tunekit")


class CheckpointTracker:
    """Tracks the checkpoints of the trials that one process runs.

    Workers save; only the tracker records and deletes checkpoints, and it deletes nothing before
    the storage has recorded which ones to keep. A kill in between leaves one file too many, never
    one too few.

    Attributes:
        uri: location of the study's checkpoints; empty without one.
    """

    def __init__(self, study: StudyRecord, checkpoints: Checkpoints | None) -> None:
        self.uri = "" if checkpoints is None else checkpoints.of_study(study)
        self._place = open_place(self.uri) if self.uri else None
        self._keep_best = checkpoints.keep_best if checkpoints is not None else 1
        self._keep_every = None if checkpoints is None else checkpoints.keep_every
        self._max_retries = study.spec.max_retries
        self._objective = study.spec.objectives[0]
        self._known: dict[int, list[Checkpoint]] = {}
        self._origins: dict[int, Origin | None] = {}
        self._unsaved: set[int] = set()

    @property
    def has_news(self) -> bool:
        """Return whether there are checkpoints to record."""
        return bool(self._unsaved)

    def origin(
        self, number: int, checkpoints: Sequence[Checkpoint], branch: Branch | None
    ) -> Origin | None:
        """Return where a trial starts: its last existing checkpoint, else its branch."""
        for c in reversed(checkpoints):
            name = checkpoint_name(number, c.step, c.epoch)
            if self._place is None or self._place.has(name):
                return Origin(c.step, name)
        if checkpoints:
            log.warning("trial %d starts over: its checkpoints are not in %s", number, self.uri)
        if branch is None:
            return None
        name = checkpoint_name(number, branch.step, BRANCH_EPOCH)
        if self._place is not None and not self._place.has(name):
            log.warning(
                "trial %d starts over: the checkpoint of trial %d is not in %s",
                number,
                branch.number,
                self.uri,
            )
            return None
        return Origin(branch.step, name)

    def copy_branch(self, number: int, branch: Branch, parent: TrialRecord | None) -> None:
        """Copy the checkpoint that a trial branches from into its own folder, if it exists."""
        if self._place is None or parent is None:
            return
        own = checkpoint_name(number, branch.step, BRANCH_EPOCH)
        for c in reversed(parent.checkpoints):
            if c.step == branch.step:
                try:
                    self._place.copy(checkpoint_name(parent.number, c.step, c.epoch), own)
                    return
                except (UnknownCheckpoint, CheckpointError) as error:
                    log.warning("trial %d: %s", number, error.message)

    def check(self, parent: TrialRecord, step: int) -> None:
        """Check that the checkpoint of a branch exists.

        Raises:
            InvalidArgument: the study was opened without checkpoints.
            UnknownCheckpoint: the trial has no checkpoint of this step.
        """
        if self._place is None:
            raise InvalidArgument(
                f"branch_from=({parent.number}, {step}): the study was opened without a place of "
                'checkpoints; give tk.study(..., checkpoints="folder").'
            )
        names = {
            c.step: checkpoint_name(parent.number, c.step, c.epoch) for c in parent.checkpoints
        }
        there = [s for s, name in names.items() if self._place.has(name)]
        if step not in there:
            has = f"has checkpoints of the steps {there}" if there else "has no checkpoints"
            raise UnknownCheckpoint(
                f"branch_from=({parent.number}, {step}): trial {parent.number} {has}; branch from "
                "one of them, or keep more with Checkpoints(root, keep_every=...)."
            )

    def begin(self, number: int, checkpoints: Sequence[Checkpoint], origin: Origin | None) -> None:
        """Start tracking a trial with its checkpoints up to where it resumes."""
        kept: list[Checkpoint] = []
        names = [checkpoint_name(number, c.step, c.epoch) for c in checkpoints]
        if origin is not None and origin.name in names:
            kept = list(checkpoints)[: names.index(origin.name) + 1]
        self._known[number] = kept
        self._origins[number] = origin
        self._unsaved.discard(number)

    def note_report(self, number: int, epoch: int, report: Report) -> None:
        """Record the checkpoint of a report, if it has one."""
        known = self._known.get(number)
        if known is None:
            return
        value = report.metrics.get(self._objective.metric)
        value = value if value is not None and math.isfinite(value) else None
        if report.checkpoint:
            new = Checkpoint(report.step, epoch, value)
            if value is None:
                same = (c.value for c in known if (c.step, c.epoch) == (new.step, epoch))
                new = Checkpoint(report.step, epoch, next(same, None))
            known[:] = [c for c in known if (c.step, c.epoch) != (new.step, epoch)] + [new]
            self._unsaved.add(number)
        elif known and value is not None and known[-1].step == report.step:
            if known[-1].epoch == epoch and known[-1].value != value:  # saved before its report
                known[-1] = Checkpoint(report.step, epoch, value)
                self._unsaved.add(number)

    def has_any(self, number: int) -> bool:
        """Return whether a trial that runs here has a checkpoint."""
        return bool(self._known.get(number))

    def may_go_on(self, number: int, epoch: int) -> bool:
        """Return whether a trial may run again after its process died under this lease.

        It resumes from its checkpoint, up to `max_retries` times without a new one.
        """
        known = self._known.get(number, [])
        return bool(known) and epoch - known[-1].epoch < self._max_retries

    def take_saved(self, epochs: dict[int, int], number: int | None = None) -> list[Saved]:
        """Return the checkpoint records to write, of one trial or of all."""
        due = self._unsaved if number is None else self._unsaved & {number}
        out = []
        for n in sorted(due):
            kept = retained(
                self._known[n],
                sign=self._objective.loss(1.0),
                keep_best=self._keep_best,
                keep_every=self._keep_every,
            )
            if n in epochs:
                out.append(Saved(n, epochs[n], tuple(kept)))
        self._unsaved = self._unsaved - due
        return out

    def stored(self, note: Saved) -> None:
        """Delete all checkpoints that are not kept, once the storage knows which are."""
        known = self._known.get(note.number, [])
        last = note.checkpoints[-1]
        place = {(c.step, c.epoch): i for i, c in enumerate(known)}
        # What was saved after the note was written is not judged yet.
        until = place.get((last.step, last.epoch), -1) + 1
        kept = {(c.step, c.epoch) for c in note.checkpoints}
        dropped = [c for c in known[:until] if (c.step, c.epoch) not in kept]
        for c in dropped:
            known.remove(c)
            if self._place is None:
                continue
            try:
                self._place.delete(checkpoint_name(note.number, c.step, c.epoch))
            except CheckpointError as error:
                log.warning("trial %d: %s", note.number, error.message)

    def delete_leftovers(self, number: int, epoch: int) -> None:
        """Delete the leftovers of a finished run, except the trial's checkpoints."""
        if self._place is None:
            return
        known, origin = self._known.get(number), self._origins.get(number)
        names = [checkpoint_name(number, c.step, c.epoch) for c in known or ()]
        if not known and origin is not None:  # it may have to run again before it is told
            names.append(origin.name)
        try:
            self._place.keep_only(number, epoch + 1, names)
        except CheckpointError as error:
            log.warning("trial %d: %s", number, error.message)
