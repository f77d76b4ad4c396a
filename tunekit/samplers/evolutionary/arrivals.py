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
        self._told: dict[int, TrialRecord] = {}
        self._last = (0, 0)
        self._history: History | None = None
        self._n_read = 0
        self._of: tuple[object, ...] = ()
        self._state: L | None = None

    def state(self, view: StudyView) -> L:
        """Return the state after all trials that have ended in the view."""
        history, of = view.history, (view.space, view.seed, view.objectives, view.constraints)
        new = self._new(history) if of == self._of else None
        if self._state is None or new is None:
            self._state, self._of = self._make(view), of
            self._told.clear()
            new = sorted(filter(_has_ended, history.finished()), key=_place)
        for trial in new:
            if trial.state not in SILENT and is_inside(view, trial):
                self._state.tell(trial, history)
            self._told[trial.number], self._last = trial, _place(trial)
        self._history, self._n_read = history, len(history.changes)
        return self._state

    def _new(self, history: History) -> list[TrialRecord] | None:
        """Return the trials that have ended since, `None` if the past itself has changed."""
        is_same = history is self._history
        changed = {*history.changes[self._n_read if is_same else 0 :]}
        if not is_same:
            changed |= self._told.keys()
        new = []
        for number in changed:
            trial, told = history.get(number), self._told.get(number)
            if trial is not None and _has_ended(trial) and told is None:
                new.append(trial)
            elif told is not None and trial != told:
                return None
        new.sort(key=_place)
        return None if new and self._told and _place(new[0]) < self._last else new


def _has_ended(trial: TrialRecord) -> bool:
    return trial.params is not None and bool(trial.state.is_finished)


def _place(trial: TrialRecord) -> tuple[int, int]:
    return trial.seq, trial.number


def is_inside(view: StudyView, trial: TrialRecord) -> bool:
    """Return whether a trial's params are a point of the current space."""
    try:
        view.space.validate(trial.params or {})
    except (InvalidParams, UnknownParameter):
        return False
    return True
