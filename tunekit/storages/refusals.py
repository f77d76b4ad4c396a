"""Explains why a worker's write was not applied: a repetition, a conflict, or a lost lease.

The rule is the same in every storage; storages differ only in how they look up the trial.
"""

from __future__ import annotations

from tunekit.records import TrialState
from tunekit.storages.base import Operation, Pause, Release, Saved, Start, Status, Tell


def _given_back(op: Release) -> TrialState:
    return TrialState.PREEMPTED if op.preempted else TrialState.WAITING


def refusal(
    op: Operation,
    *,
    state: str,
    epoch: int,
    started_epoch: int,
    tell_key: str | None,
    has_checkpoints: bool,
) -> Status:
    """Return the answer to an operation that changed nothing.

    Args:
        op: the operation.
        state: current state of its trial.
        epoch: current epoch of its trial.
        started_epoch: epoch of the trial's last `Start`.
        tell_key: key of the tell that ended the trial, if one did.
        has_checkpoints: whether the trial has exactly the checkpoints of a `Saved`.
    """
    same_epoch = epoch == op.epoch
    if isinstance(op, Tell) and tell_key:
        if tell_key == op.key:
            return "ok"
        return "conflict" if same_epoch else "lost"
    if not same_epoch:
        return "lost"
    repeated = (
        (isinstance(op, Start) and started_epoch == epoch and state == TrialState.RUNNING)
        or (isinstance(op, Release) and state == _given_back(op))
        # It may have been promoted since.
        or (isinstance(op, Pause) and state in (TrialState.PAUSED, TrialState.WAITING))
        or (isinstance(op, Saved) and has_checkpoints)
    )
    return "ok" if repeated else "lost"
