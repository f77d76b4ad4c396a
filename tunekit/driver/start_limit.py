"""Limits how many trials one run, or several runs of one process, start together."""

from __future__ import annotations


class StartLimit:
    """The trials that may still start; all runs that share it are on one thread.

    A run counts what it claims before it asks its sampler for points, so that no other run starts
    a trial meanwhile in place of it.

    Args:
        most: number of trials; `None` for no limit.
    """

    def __init__(self, most: int | None = None) -> None:
        self._most = most
        self._n_started = 0
        self._n_claimed = 0

    @property
    def n_started(self) -> int:
        """Return the number of trials that have started."""
        return self._n_started

    @property
    def left(self) -> int | None:
        """Return how many more trials may be claimed, `None` without a limit."""
        if self._most is None:
            return None
        return max(self._most - self._n_started - self._n_claimed, 0)

    @property
    def is_reached(self) -> bool:
        """Return whether as many trials have started; what is only claimed may come to nothing."""
        return self._most is not None and self._n_started >= self._most

    def claim(self, n: int) -> None:
        """Count `n` trials that were claimed and are yet to start, or drop them if negative."""
        self._n_claimed += n

    def start(self, n: int = 1) -> None:
        """Count `n` trials that start; a negative number for those that start again."""
        self._n_started += n
