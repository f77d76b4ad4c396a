"""Locates the checkpoints of a study's trials."""

from __future__ import annotations

from pathlib import Path

from tunekit.checkpoints.base import Checkpoints, checkpoint_name
from tunekit.checkpoints.places import open_place
from tunekit.errors import InvalidArgument, UnknownCheckpoint
from tunekit.history import History
from tunekit.records import StudyRecord, TrialRecord
from tunekit.storages.checks import unknown_trial
from tunekit.studies.trial_numbers import trial_number


class CheckpointPaths:
    """The part of a study that names the files of its trials' checkpoints."""

    checkpoints: Checkpoints | None

    def record(self) -> StudyRecord:
        """Return the current stored record of the study."""
        raise NotImplementedError

    def refresh(self) -> History:
        """Return the current stored trials."""
        raise NotImplementedError

    def checkpoint_path(self, trial: TrialRecord | int, *, step: int | None = None) -> Path | str:
        """Return the folder of a trial's checkpoint, or its URI in a remote place.

        Args:
            trial: such as `study.best_trial`, or its number.
            step: step of the checkpoint; by default the last existing one.

        Raises:
            InvalidArgument: the study was opened without a place of checkpoints.
            UnknownTrial: no such number.
            UnknownCheckpoint: the trial has none, or none of that step.
        """
        study = self.record()
        if self.checkpoints is None:
            raise InvalidArgument(
                f'study "{study.spec.name}" was opened without a place of checkpoints; give '
                "checkpoints= to tk.study or load_study."
            )
        number = trial_number(trial)
        known = self.refresh().get(number)
        if known is None:
            raise unknown_trial(number, study.n_trials)
        kept = known.checkpoints
        found = [c for c in kept if step is None or c.step == step]
        root = self.checkpoints.of_study(study)
        name = checkpoint_name(number, found[-1].step, found[-1].epoch) if found else ""
        if not found or not open_place(root).has(name):
            asked = "no checkpoint" if step is None else f"no checkpoint of step {step}"
            raise UnknownCheckpoint(
                f"trial {number} has {asked} in {root}; it kept those of the steps "
                f"{[c.step for c in kept]}."
            )
        return f"{root}/{name}" if "://" in root else Path(root, name)
