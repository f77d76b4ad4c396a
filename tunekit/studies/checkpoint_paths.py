"""Where the checkpoints of a study's trials are."""

from __future__ import annotations

from pathlib import Path

from tunekit.checkpoints.base import Checkpoints, checkpoint_name
from tunekit.checkpoints.places import open_place
from tunekit.errors import InvalidArgument, UnknownCheckpoint
from tunekit.records import StudyRecord, TrialRecord


def checkpoint_path(
    study: StudyRecord, checkpoints: Checkpoints | None, *, trial: TrialRecord, step: int | None
) -> Path | str:
    """Return the folder or URI of a trial's checkpoint; of its last one where no step is given.

    Raises:
        InvalidArgument: the study was opened without a place of checkpoints.
        UnknownCheckpoint: the trial has none, or none of that step.
    """
    if checkpoints is None:
        raise InvalidArgument(
            f'study "{study.spec.name}" was opened without a place of checkpoints; give '
            "checkpoints= to tk.study or load_study."
        )
    steps = [c.step for c in trial.checkpoints]
    found = [c for c in trial.checkpoints if step is None or c.step == step]
    name = checkpoint_name(trial.number, found[-1].step, found[-1].epoch) if found else ""
    root = checkpoints.of_study(study)
    if not found or not open_place(root).has(name):
        asked = "a checkpoint" if step is None else f"the checkpoint of step {step}"
        raise UnknownCheckpoint(
            f"trial {trial.number} has not {asked} in {root}; it has kept those of the steps "
            f"{steps}."
        )
    return f"{root}/{name}" if "://" in root else Path(root, name)
