"""Why a worker's write was not applied: a repetition of one that was, a conflict, or a lost lease.

The rule is the same in every storage; what differs is how they find the trial as it is now.
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
        op: of which trial the rest is what is stored now.
        state: as above.
        epoch: as above.
        started_epoch: the epoch of the last `Start`.
        tell_key: of the tell that ended it, if one did.
        has_checkpoints: it has the very checkpoints that a `Saved` notes.
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
