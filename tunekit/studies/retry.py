"""Runs the point of an ended trial again, as a new trial that names the old one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tunekit.errors import InvalidArgument
from tunekit.records import Branch, TrialRecord

RETRY_OF = "retry_of"
"""User attribute of the new trial: the number of the old one."""


@dataclass(frozen=True, slots=True)
class Retry:
    """What to enqueue.

    Attributes:
        params: the point of the old trial.
        user_attrs: those of the old trial, and its number.
        branch: checkpoint to start from, `None` to start from scratch.
    """

    params: Mapping[str, Any]
    user_attrs: Mapping[str, Any]
    branch: Branch | None


def retry_of(trial: TrialRecord, *, from_checkpoint: bool = False) -> Retry:
    """Return what to enqueue to run a trial again.

    Args:
        trial: an ended one.
        from_checkpoint: whether to go on from its last checkpoint, if it has one.

    Raises:
        InvalidArgument: it has not ended, or has no params.
    """
    if not trial.state.is_finished:
        raise InvalidArgument(
            f"trial {trial.number} is {trial.state} and has not ended; cancel it first, or resume "
            "it if it is paused."
        )
    if not trial.params:
        raise InvalidArgument(
            f"trial {trial.number} ended before it had params; run a new trial instead."
        )
    branch = trial.branch
    if from_checkpoint and trial.checkpoints:
        branch = Branch(trial.number, trial.checkpoints[-1].step)
    return Retry(dict(trial.params), {**trial.user_attrs, RETRY_OF: trial.number}, branch)
