"""The inline executor: trials run in the calling thread, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tunekit.errors import InvalidArgument
from tunekit.executors.base import Ended, Limits, ReportHandler, Task
from tunekit.executors.objective import run_objective
from tunekit.executors.prepared import PreparedObjectives
from tunekit.executors.trial import Trial
from tunekit.records import Decision, Outcome, Report

_NO_LIMITS = Limits()


class InlineExecutor:
    """Runs each task within `start`, in this thread: nothing to pickle, easy to debug.

    It cannot outlive a crash of the objective, nor end one that hangs.

    Args:
        limits: must be empty, because limits can only be enforced in a separate process.

    Attributes:
        slots: 1.
        runs_in_caller: `True`.

    Raises:
        InvalidArgument: a timeout, a memory limit or resources were asked for.
    """

    def __init__(self, limits: Limits = _NO_LIMITS) -> None:
        asked = {
            "timeout_s": limits.timeout_s,
            "memory_mib": limits.memory_mib,
            "resources": limits.resources,
        }
        for name, value in asked.items():
            if value:
                raise InvalidArgument(
                    f"{name}={value!r} was given to the inline executor, which runs trials in "
                    'your own process and can enforce no limit; use executor="process".'
                )
        self.slots = 1
        self.runs_in_caller = True
        self._objective: Callable[..., Any] | None = None
        self._on_report: ReportHandler | None = None
        self._ended: list[Ended] = []
        self._prepared = PreparedObjectives()
        self._ordered: Outcome | None = None
        self._running: int | None = None

    def open(self, objective: Callable[..., Any], on_report: ReportHandler) -> None:
        """Prepare to run tasks of one objective."""
        self._objective = objective
        self._on_report = on_report

    def start(self, task: Task) -> None:
        """Run the task to its end; `poll` then returns it."""
        objective, on_report = self._objective, self._on_report
        assert objective is not None and on_report is not None, "open() comes first"

        def send(report: Report) -> Decision:
            decision = on_report(task.number, report)
            # The caller ended the trial while it looked at its report: an exception in the
            # objective is the only way to end it in its own thread.
            return Decision("stop", self._ordered.reason) if self._ordered else decision

        self._running, self._ordered = task.number, None
        try:
            outcome, raised = run_objective(self._prepared.of(task, objective), Trial(task, send))
        finally:
            self._running = None
        self._ended.append(Ended(task.number, task.epoch, self._ordered or outcome, raised))

    def poll(self, timeout_s: float) -> list[Ended]:
        """Return the tasks that have ended; never waits."""
        ended, self._ended = self._ended, []
        return ended

    def stop(self, number: int, outcome: Outcome) -> None:
        """End the running task (from within a report) with this outcome.

        Its next report tells the objective to end; an objective that continues is not interrupted.
        """
        if number == self._running:
            self._ordered = outcome

    def close(self) -> None:
        """Forget the objective."""
        self._prepared.tear_down()
        self._objective = self._on_report = None
        self._ended.clear()
