"""Counts how many trials a run may still start, and whether its goal is reached."""

from __future__ import annotations

import sys

from tunekit.driver.run_settings import Goal
from tunekit.errors import NoPointYet, SpaceExhausted
from tunekit.history import History
from tunekit.records import TrialState


class TrialBudget:
    """Counts the trials that a run starts against its goal.

    Attributes:
        started: trials started by this run, not counting resumed promoted ones.
        is_exhausted: whether the sampler has no further point.
    """

    def __init__(self, goal: Goal, history: History, worker: str = "") -> None:
        self.started = 0
        self.is_exhausted = False
        self._held_at: int | None = None
        self._goal = goal
        self._history = history
        self._worker = worker

    @property
    def is_held(self) -> bool:
        """Return whether the sampler has no point until a further trial ends."""
        return self._held_at == self._history.n_finished

    def exhaust(self, error: SpaceExhausted) -> bool:
        """Start no new trial, for good or until a running one ends; return whether for good."""
        is_running = TrialState.RUNNING in self._history.counts()
        if isinstance(error, NoPointYet) and is_running:
            self._held_at = self._history.n_finished
        else:
            self.is_exhausted = True
        return self.is_exhausted

    def n_wanted(self, free: int, *, is_idle: bool = False) -> int:
        """Return the number of trials to claim for `free` free slots.

        A run that is idle asks the sampler again: trials elsewhere may be lost and never end.
        """
        if is_idle:
            self._held_at = None
        left = self._left()
        return free if left is None else min(free, left + self._history.n_promoted)

    def demand(self) -> int:
        """Return the number of claimable trials known to this process."""
        left, total, history = self._left(), self._goal.total_trials, self._history
        room = sys.maxsize
        if total is not None:
            room = max(total - len(history), 0) + history.n_waiting
        return room if left is None else min(room, left + history.n_promoted)

    def max_trials(self) -> int | None:
        """Return the maximum number of trials of the study after the next claim."""
        left, total = self._left(), self._goal.total_trials
        if left is None or not self._history.n_promoted:
            return total
        # What is claimed beyond the goal, for promoted trials, must be no new one.
        return min(len(self._history) + left, sys.maxsize if total is None else total)

    def is_reached(self) -> bool:
        """Return whether the goal is reached, if nothing runs here.

        Paused trials remain paused, because nobody resumes them, and those that this process has
        asked for by hand are told after the run.
        """
        history, total = self._history, self._goal.total_trials
        is_waiting = self.is_held and self._goal.n_trials != self.started
        if self._left() == 0 and not history.n_promoted and not is_waiting:
            return True
        is_full = total is not None and len(history) >= total
        if not is_full:
            return False
        running = (t for t in history.unfinished() if t.state is TrialState.RUNNING)
        asked = sum(t.worker == self._worker for t in running)
        return history.n_finished + history.n_paused + asked == len(history)

    def total(self) -> int | None:
        """Return the final number of trials of the study, `None` if unknown."""
        if self._goal.total_trials is not None:
            return self._goal.total_trials
        if self._goal.n_trials is not None:
            return len(self._history) + self._goal.n_trials
        return None

    def _left(self) -> int | None:
        if self.is_exhausted or self.is_held:
            return 0
        if self._goal.n_trials is None:
            return None
        return max(self._goal.n_trials - self.started, 0)
