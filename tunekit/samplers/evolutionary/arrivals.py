"""Folds finished trials into a sampler's state, once each, in the order they ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from tunekit.errors import InvalidParams, UnknownParameter
from tunekit.history import History
from tunekit.records import TrialRecord, TrialState
from tunekit.samplers.base import StudyView

SILENT = (TrialState.LOST, TrialState.CANCELLED)
"""Final states that carry no information about the params."""


class Learner(Protocol):
    """A state that learns from one finished trial at a time."""

    def tell(self, trial: TrialRecord, history: History) -> None:
        """Learn from an ended trial, whose params are a point of the space."""
        ...


L = TypeVar("L", bound=Learner)


class Arrivals(Generic[L]):
    """Maintains a state that folds all finished trials in the order they ended.

    This order (`TrialRecord.seq`) is part of the history and the same for every reader, and new
    trials are only ever appended, however parallel trials finish. So the state is a pure function
    of the view, and an update processes only the trials that ended since the last one. If the past
    itself has changed (another study, an edited space), the state is rebuilt from the start.

    Args:
        make: returns the state of a study without ended trials.
    """

    def __init__(self, make: Callable[[StudyView], L]) -> None:
        self._make = make
        self._told: list[TrialRecord] = []
        self._of: tuple[object, ...] = ()
        self._state: L | None = None

    def state(self, view: StudyView) -> L:
        """Return the state after all trials that have ended in the view."""
        of = (view.space, view.seed, view.objectives, view.constraints)
        ended = [t for t in view.history.finished() if t.params is not None]
        ended.sort(key=lambda t: (t.seq, t.number))
        n = len(self._told)
        if self._state is None or of != self._of or ended[:n] != self._told:
            self._state, self._of, n = self._make(view), of, 0
        for trial in ended[n:]:
            if trial.state not in SILENT and is_inside(view, trial):
                self._state.tell(trial, view.history)
        self._told = ended
        return self._state


def is_inside(view: StudyView, trial: TrialRecord) -> bool:
    """Return whether a trial's params are a point of the current space."""
    try:
        view.space.validate(trial.params or {})
    except (InvalidParams, UnknownParameter):
        return False
    return True
