"""Shares one executor between studies, each with a slice whose slots are set from outside."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tunekit.errors import InvalidArgument
from tunekit.executors.base import Ended, Executor, Guest, ReportHandler, Task
from tunekit.executors.process.executor import shipped
from tunekit.records import Decision, Outcome, Report, TrialState
from tunekit.sharing.fair_share import RunningTrial

MAX_SLICES = 2**16


class Pool:
    """An executor that several studies share.

    A task in it is keyed by the number of its trial and then by its study, so that what a
    simulated executor does at the same time still comes in a fixed order.

    Args:
        executor: of any kind; the pool opens and closes it.
    """

    def __init__(self, executor: Executor) -> None:
        self.executor = executor
        self._slices: dict[int, Slice] = {}
        self._n_made = 0
        self._is_open = False

    @property
    def now_s(self) -> float:
        """Return the time on the clock that the trials run by."""
        clock = getattr(self.executor, "clock", None)  # of a simulated executor
        return time.monotonic() if clock is None else float(clock)

    @property
    def n_running(self) -> int:
        """Return the number of trials running or ended but not yet collected."""
        return sum(len(s.running) for s in list(self._slices.values()))  # `add` may come now

    def slice(self) -> Slice:
        """Return a new slice, without slots at first.

        Raises:
            InvalidArgument: the pool has used up all slice keys.
        """
        if self._n_made == MAX_SLICES:
            raise InvalidArgument(f"a pool serves up to {MAX_SLICES} studies; make another.")
        self._n_made += 1
        made = self._slices[self._n_made - 1] = Slice(self, self._n_made - 1)
        return made

    def poll(self, timeout_s: float) -> None:
        """Serve reports until a trial ends or the time is over; each slice gets its own."""
        for ended in self.executor.poll(timeout_s):
            number, key = divmod(ended.number, MAX_SLICES)
            if key in self._slices:
                self._slices[key].receive(replace(ended, number=number))

    def close(self) -> None:
        """Close the executor."""
        self.executor.close()

    def open(self, objective: Callable[..., Any]) -> Callable[..., Any] | bytes:
        """Return an objective as tasks carry it; the first one opens the executor.

        Raises:
            InvalidArgument: the executor cannot run it.
            ExecutorFailed: nothing is there to run it on.
        """
        if self.executor.runs_in_caller:  # to open it again is to let it look at the objective
            self.executor.open(objective, self._on_report)
            return objective
        data = shipped(objective)
        if not self._is_open:
            self.executor.open(_no_guest, self._on_report)
            self._is_open = True
        return data

    def drop(self, key: int) -> None:
        """Forget a slice."""
        self._slices.pop(key, None)

    def _on_report(self, key: int, report: Report) -> Decision:
        number, of_slice = divmod(key, MAX_SLICES)
        return self._slices[of_slice].take_report(number, report)


class Slice:
    """The part of a pool that one study has: an executor whose slots change.

    Attributes:
        slots: how many trials may run now; what runs already is not ended if it shrinks.
        runs_in_caller: as of the pool's executor.
        running: by number, when each trial began and when it last saved a checkpoint.
    """

    def __init__(self, pool: Pool, key: int) -> None:
        self.slots = 0
        self.runs_in_caller = pool.executor.runs_in_caller
        self.running: dict[int, tuple[float, float]] = {}
        self._pool = pool
        self._key = key
        self._stopping: set[int] = set()
        self._ended: list[Ended] = []
        self._objective: Callable[..., Any] | bytes = b""
        self._on_report: ReportHandler | None = None

    def open(self, objective: Callable[..., Any], on_report: ReportHandler) -> None:
        """Prepare to run tasks of one objective."""
        self._on_report = on_report
        self._objective = self._pool.open(objective)

    def start(self, task: Task) -> None:
        """Start a task; it carries its objective."""
        now = self._pool.now_s
        self.running[task.number] = now, now
        guest = Guest(task.number, self._objective)
        key = task.number * MAX_SLICES + self._key
        try:
            self._pool.executor.start(replace(task, number=key, guest=guest))
        except BaseException:
            del self.running[task.number]
            raise

    def poll(self, timeout_s: float) -> list[Ended]:
        """Return the ended tasks without waiting, because the pool waits."""
        ended, self._ended = self._ended, []
        return ended

    def stop(self, number: int, outcome: Outcome) -> None:
        """End a running task now, with this outcome."""
        if number in self.running:
            self._stopping.add(number)
            self._pool.executor.stop(number * MAX_SLICES + self._key, outcome)

    def close(self) -> None:
        """End all running tasks, and leave the pool."""
        for number in list(self.running):
            self._pool.executor.stop(number * MAX_SLICES + self._key, _CLOSED)
        self.running.clear()
        self._ended.clear()
        self._pool.drop(self._key)

    def held(self) -> list[RunningTrial]:
        """Return the running trials, and what each would lose if it were stopped now."""
        now = self._pool.now_s
        return [
            RunningTrial(n, now - begun, now - saved, n in self._stopping)
            for n, (begun, saved) in self.running.items()
        ]

    def receive(self, ended: Ended) -> None:
        """Take an ended task."""
        if self.running.pop(ended.number, None) is not None:
            self._stopping.discard(ended.number)
            self._ended.append(ended)

    def take_report(self, number: int, report: Report) -> Decision:
        """Hand a report to the study and return its decision."""
        assert self._on_report is not None, "open() comes first"
        if report.checkpoint and number in self.running:
            self.running[number] = self.running[number][0], self._pool.now_s
        return self._on_report(number, report)


_CLOSED = Outcome(TrialState.WAITING, reason="its study left the pool")


def _no_guest(trial: object) -> None:
    raise AssertionError("tasks of a pool carry their objectives")
