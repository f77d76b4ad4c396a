"""Counts how many trials a run may still start, and whether its goal is reached."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from tunekit.driver.run_settings import Goal
from tunekit.driver.start_limit import StartLimit
from tunekit.errors import NoPointYet, SpaceExhausted
from tunekit.history import History
from tunekit.records import TrialState
from tunekit.storages.base import Lease

N_PACED = 3
"""Minimum number of started trials to estimate how many fit into a time limit."""


class TrialBudget:
    """Counts the trials that a run starts against its goal, but for promoted ones.

    Args:
        goal: of the run.
        history: of the study.
        worker: name of the one whose run it is.
        limit: of the starts of all runs that share it.

    Attributes:
        is_exhausted: whether the sampler has no further point.
    """

    def __init__(
        self, goal: Goal, history: History, worker: str = "", limit: StartLimit | None = None
    ) -> None:
        self.is_exhausted = False
        self._own = StartLimit(goal.n_trials)
        self._limits = [self._own] if limit is None else [self._own, limit]
        self._n_claimed = 0
        self._held_at: int | None = None
        self._goal = goal
        self._history = history
        self._worker = worker
        self._begin = time.monotonic()

    def start_clock(self) -> None:
        """Count the time of the goal from now on."""
        self._begin = time.monotonic()

    @property
    def is_late(self) -> bool:
        """Return whether the time of the goal is over, after which no trial starts."""
        timeout_s = self._goal.timeout_s
        return timeout_s is not None and time.monotonic() - self._begin >= timeout_s

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

    def claim(self, leases: Sequence[Lease]) -> None:
        """Count trials that were claimed and are yet to start."""
        known = (self._history.get(x.number) for x in leases)
        n = sum(t is None or not t.is_promoted for t in known)
        self._note_claimed(n)

    def start(self) -> None:
        """Count a trial that starts."""
        for limit in self._limits:
            limit.start()
        if self._n_claimed:
            self._note_claimed(-1)

    def drop_claims(self) -> None:
        """Count no longer what was claimed and has not started."""
        self._note_claimed(-self._n_claimed)

    def give_back(self) -> None:
        """Take back the count of a trial that starts again."""
        for limit in self._limits:
            limit.start(-1)

    def _note_claimed(self, n: int) -> None:
        self._n_claimed += n
        for limit in self._limits:
            limit.claim(n)

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
        may_not_start = any(limit.is_reached for limit in self._limits)
        if (may_not_start or self.is_exhausted) and not history.n_promoted:
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

    def planned(self) -> int | None:
        """Return the final number of trials that this run expects, `None` if unknown.

        Under a time limit it follows from the pace so far.
        """
        n = len(self._history)
        known = [self._goal.total_trials, self._n_at_pace()]
        left = [x for limit in self._limits if (x := limit.left) is not None]
        if left:
            known.append(n + max(min(left) - self._history.n_waiting, 0))
        return min((x for x in known if x is not None), default=None)

    def _n_at_pace(self) -> int | None:
        """Return the number of trials at the time limit, `None` without one or early in a run."""
        timeout_s, n = self._goal.timeout_s, self._own.n_started
        if timeout_s is None or n < N_PACED:
            return None
        spent_s = max(time.monotonic() - self._begin, 1e-9)
        return len(self._history) + int(n * max(timeout_s - spent_s, 0.0) / spent_s)

    def _left(self) -> int | None:
        if self.is_exhausted or self.is_held:
            return 0
        known = (limit.left for limit in self._limits)
        return min((n for n in known if n is not None), default=None)
