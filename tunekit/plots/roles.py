"""Says what the states of trials look like in a figure."""

from __future__ import annotations

from collections.abc import Mapping

from tunekit.plots.figure import Role
from tunekit.records import TrialState

_ROLES: Mapping[str, Role] = {
    TrialState.WAITING: "queued",
    TrialState.PREEMPTED: "queued",
    TrialState.PAUSED: "queued",
    TrialState.RUNNING: "running",
    TrialState.COMPLETE: "complete",
    TrialState.STOPPED: "stopped",
    TrialState.DIVERGED: "diverged",
    TrialState.FAILED: "failed",
    TrialState.LOST: "failed",
}


def role_of(state: str) -> Role:
    """Return the role of a trial in a state."""
    return _ROLES.get(state, "other")
