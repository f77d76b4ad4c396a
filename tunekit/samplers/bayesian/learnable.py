"""Counts the trials that a model can learn from, without building its arrays."""

from __future__ import annotations

import math
from typing import NamedTuple

from tunekit.errors import TunekitError
from tunekit.history import History
from tunekit.records import TrialRecord, TrialState
from tunekit.samplers.base import StudyView
from tunekit.spaces import Params, Space

MEASURED_STATES = (TrialState.COMPLETE, TrialState.STOPPED)
"""States that may come with a result; a stopped trial counts with its last reported value."""

FAILED_STATES = (TrialState.FAILED, TrialState.DIVERGED)
"""States of the trials from which a model learns where a point fails."""


class Learnable(NamedTuple):
    """The number of trials with a finite result, and of those that failed."""

    n_measured: int
    n_failed: int


def has_result(trial: TrialRecord, history: History) -> bool:
    """Return whether a trial ended with a finite value of each objective."""
    return trial.state in MEASURED_STATES and all(map(math.isfinite, history.loss_row(trial)))


def point_in(space: Space, trial: TrialRecord) -> Params | None:
    """Return the params of a trial as a point of a space, `None` if they do not lie in it."""
    if trial.params is None:
        return None
    try:
        return space.validate(trial.params)
    except TunekitError:  # the space was edited
        return None


class LearnableTrials:
    """Counts the trials whose params lie in a space; remembers which do."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self._known: dict[int, tuple[Params | None, bool]] = {}

    def count(self, view: StudyView, *, enough: int) -> Learnable:
        """Return the numbers of trials to learn from; counting ends at `enough` in all."""
        n_measured = n_failed = 0
        for trial in view.history:
            if n_measured + n_failed >= enough:
                break
            if trial.state in FAILED_STATES:
                n_failed += self._lies_in(trial)
            elif has_result(trial, view.history):
                n_measured += self._lies_in(trial)
        return Learnable(n_measured, n_failed)

    def _lies_in(self, trial: TrialRecord) -> bool:
        known = self._known.get(trial.number)
        if known is None or known[0] is not trial.params:
            known = trial.params, point_in(self.space, trial) is not None
            self._known[trial.number] = known
        return known[1]
