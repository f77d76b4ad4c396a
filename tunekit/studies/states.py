"""Resolves states of trials by the names of tunekit and Optuna."""

from __future__ import annotations

from collections.abc import Iterable

from tunekit.checks import several, shown
from tunekit.errors import InvalidArgument, did_you_mean
from tunekit.records import TrialState

_GROUPS = {
    "RUNNING": (TrialState.RUNNING, TrialState.PREEMPTED, TrialState.PAUSED),
    "FAIL": (TrialState.FAILED, TrialState.DIVERGED, TrialState.LOST, TrialState.CANCELLED),
}
"""What the members of Optuna's `TrialState` hold that it does not tell apart."""


def state_of(given: object) -> TrialState:
    """Return the state for a member or its name, in either case; "pruned" is STOPPED.

    Raises:
        InvalidArgument: `given` is not a state.
    """
    if isinstance(given, TrialState):
        return given
    name = getattr(given, "name", given)  # a member of Optuna's enumeration has one
    text = name if isinstance(name, str) else shown(name)
    found = TrialState.__members__.get(text.upper())
    if found is None:
        known = sorted({s.value for s in TrialState} | {"pruned"})
        raise InvalidArgument(
            f"state={shown(given)}{did_you_mean(text, known)}, expected one of {known}."
        )
    return found


def states_of(given: Iterable[object]) -> set[TrialState]:
    """Return the states for members or names; a member of Optuna's stands for all it holds.

    Raises:
        InvalidArgument: one of them is not a state.
    """
    found: set[TrialState] = set()
    for state in several(given, is_one=isinstance(given, str)):
        name = "" if isinstance(state, str) else getattr(state, "name", "")
        found.update(_GROUPS.get(name, ()) if isinstance(name, str) else ())
        found.add(state_of(state))
    return found
