"""The simulated executor: trials take virtual time, so that 1000 GPU hours pass in a second."""

from __future__ import annotations

import heapq
import inspect
import math
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeAlias

from tunekit.checks import check_whole, is_number
from tunekit.errors import InvalidArgument
from tunekit.executors.base import Ended, ReportHandler, Task
from tunekit.executors.objective import objective_of, run_objective
from tunekit.executors.prepared import PreparedObjectives
from tunekit.executors.trial import Trial
from tunekit.records import Decision, Metrics, Outcome, Report, TrialState
from tunekit.spaces import Params

Curve: TypeAlias = Iterable[tuple[float, Metrics]]
"""(seconds, metrics) of each step of a recorded run."""

Steps: TypeAlias = Generator[tuple[float, Any], None, Any]


class Replay:
    """An objective that replays recorded curves.

    Args:
        curves: given a trial's params, returns its steps as `(seconds, metrics)`, where the
            seconds are those of this step alone. The last metrics are the result.
    """

    def __init__(self, curves: Callable[[Params], Curve]) -> None:
        self._curves = curves

    def __call__(self, trial: Trial) -> Steps:
        """Return the remaining steps of the trial for the simulated executor."""
        yield from islice(self._curves(trial.params), first_step(trial), None)


def first_step(trial: Trial) -> int:
    """Return the next step: 0, or the one after the checkpoint."""
    return 0 if trial.resumed_from is None else trial.resumed_from + 1


@dataclass(slots=True)
class _SimulatedRun:
    task: Task
    trial: Trial
    objective: Callable[..., Any]
    steps: Steps
    step: int  # the next to report
    due: object = None  # the report to make at its time
    ordered: Outcome | None = None


class SimulatedExecutor:
    """Runs trials on a virtual clock that jumps from event to event.

    An objective is a generator function (or `Replay`): it yields `(seconds, metrics)` for each
    of its steps, from 0 or from the one after its checkpoint, and may return a result; the last
    metrics are the result otherwise. `None` for the metrics lets time pass without a report. A
    plain function works as well where `duration` says how long it takes; its own reports are
    all served at its start.

    Events at the same time come in the order of trial numbers, so a run is deterministic.

    Args:
        slots: trials at a time.
        duration: params -> the seconds that a plain function takes.

    Attributes:
        clock: virtual seconds since the executor was made.
        runs_in_caller: `True`.

    Raises:
        InvalidArgument: `slots` is not a whole number of 1 or more.
    """

    def __init__(
        self, slots: int = 1, *, duration: Callable[[Params], float] | None = None
    ) -> None:
        check_whole(slots, "slots", low=1)
        self.slots = slots
        self.runs_in_caller = True
        self.clock = 0.0
        self._duration = duration
        self._objective: Callable[..., Any] | None = None
        self._on_report: ReportHandler | None = None
        self._runs: dict[int, _SimulatedRun] = {}
        self._events: list[tuple[float, int]] = []
        self._ended: list[Ended] = []
        self._active: int | None = None
        self._prepared = PreparedObjectives()

    def open(self, objective: Callable[..., Any], on_report: ReportHandler) -> None:
        """Prepare to run tasks of one objective.

        Raises:
            InvalidArgument: the objective is a plain function and `duration` is missing.
        """
        given = inspect.unwrap(objective)
        call = inspect.getattr_static(type(given), "__call__", None)  # of a Replay
        is_steps = inspect.isgeneratorfunction(given) or inspect.isgeneratorfunction(call)
        if self._duration is None and not is_steps:
            raise InvalidArgument(
                f"the objective {objective!r} is not a generator function, so its duration is "
                "unknown; yield (seconds, metrics), or give SimulatedExecutor(duration=...)."
            )
        self._objective, self._on_report = objective, on_report

    def start(self, task: Task) -> None:
        """Start a task now, on the virtual clock."""

        def send(report: Report) -> Decision:
            assert self._on_report is not None, "open() comes first"
            decision = self._on_report(task.number, report)
            return Decision("stop", run.ordered.reason) if run.ordered else decision

        trial = Trial(task, send)
        assert self._objective is not None, "open() comes first"
        objective = objective_of(task, self._objective)
        run = _SimulatedRun(
            task, trial, objective, self._steps(objective, trial), first_step(trial)
        )
        self._runs[task.number] = run
        try:
            self._resume(run)
        except BaseException:
            del self._runs[task.number]
            raise

    def poll(self, timeout_s: float) -> list[Ended]:
        """Advance the clock until a task ends and return all tasks ending at that time.

        It never waits and ignores `timeout_s`, which refers to the real clock.
        """
        while self._events and (not self._ended or self._events[0][0] <= self.clock):
            self.clock, number = heapq.heappop(self._events)
            self._resume(self._runs[number])
        ended, self._ended = self._ended, []
        return sorted(ended, key=lambda e: e.number)

    def stop(self, number: int, outcome: Outcome) -> None:
        """End a running task now, with this outcome."""
        run = self._runs.get(number)
        if run is None:
            return
        run.ordered = outcome
        if number != self._active:
            self._events = [e for e in self._events if e[1] != number]
            heapq.heapify(self._events)
            self._end(run, outcome)

    def close(self) -> None:
        """End all running tasks."""
        for run in self._runs.values():
            run.steps.close()
            run.trial.close()
        self._prepared.tear_down()
        self._runs.clear()
        self._events.clear()
        self._ended.clear()

    def _steps(self, objective: Callable[..., Any], trial: Trial) -> Steps:
        result = objective(trial)
        if inspect.isgenerator(result):
            result = yield from result
        elif self._duration is not None:
            yield self._duration(trial.params), None
        return result

    def _resume(self, run: _SimulatedRun) -> None:
        """Make the due report, and run to the next yield or to the end."""
        pause: float | None = None

        def until_next_yield(trial: Trial) -> Any:
            nonlocal pause
            if run.due is not None:
                trial.report(run.due, run.step)
                run.step += 1
            self._prepared.set_up(run.objective, run.task)
            try:
                step = next(run.steps)
            except StopIteration as end:
                reported: Mapping[str, float] | None = None
                if trial.last_report is not None:
                    reported = trial.last_report.metrics
                return reported if end.value is None else end.value
            pause, run.due = _checked(step)
            return None

        self._active = run.task.number
        try:
            outcome, raised = run_objective(until_next_yield, run.trial, closes=False)
        finally:
            self._active = None
        if run.ordered is not None:
            self._end(run, run.ordered)
        elif pause is None:
            if outcome.state is TrialState.PAUSED and isinstance(run.objective, Replay):
                # A recorded curve needs only the step to resume.
                assert self._on_report is not None, "open() comes first"
                self._on_report(run.task.number, Report(run.step, {}, checkpoint=True))
            self._end(run, outcome, raised)
        else:
            heapq.heappush(self._events, (self.clock + pause, run.task.number))

    def _end(
        self, run: _SimulatedRun, outcome: Outcome, exception: BaseException | None = None
    ) -> None:
        run.steps.close()
        run.trial.close()
        del self._runs[run.task.number]
        self._ended.append(Ended(run.task.number, run.task.epoch, outcome, exception))


def _checked(step: object) -> tuple[float, object]:
    if isinstance(step, tuple) and len(step) == 2:
        seconds, metrics = step
        if is_number(seconds) and math.isfinite(seconds) and seconds >= 0:
            return float(seconds), metrics
    raise InvalidArgument(
        f"the objective yielded {step!r}, expected (seconds of 0 or more, metrics)."
    )
