"""The process executor: trials run in worker processes of this machine."""

from __future__ import annotations

import math
import pickle
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import cloudpickle

from tunekit.checks import check_whole
from tunekit.errors import InvalidArgument
from tunekit.executors.base import Ended, Limits, ReportHandler, Task
from tunekit.executors.devices import MAX_WORKERS, Seat, make_seats
from tunekit.executors.process.child import Child, Guard, readable
from tunekit.records import Decision, Outcome, Report, TrialState

START_TRIES = 3
START_S = 300.0
TEARDOWN_S = 10.0
"""Seconds that workers have to tear their objective down before they are killed."""
MEMORY_CHECK_S = 0.1
_NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Shipped:
    """An already pickled objective, for an executor that only forwards it."""

    data: bytes


class ProcessExecutor:
    """Runs each trial in one of several reused worker processes.

    The objective is shipped by value where its module cannot be imported (`__main__`, a
    notebook), so no `if __name__ == "__main__"` is needed. A worker that crashes, hangs beyond
    its time or grows beyond its memory is killed with all that it has started and costs one
    trial; another takes its place. Workers die with this process, even by `kill -9`. What
    trials print goes to our stderr.

    Args:
        workers: trials at a time.
        limits: of one trial. Memory is looked at ten times a second.
        devices: the accelerators that `resources={"gpu": ...}` is dealt from.
        seats: what each worker sees, where another scheduler has dealt it; instead of workers,
            resources and devices.

    Attributes:
        slots: as many workers as were asked for and the resources allow.
        wake_on: descriptors of the caller that end a `poll` early when they become readable.
        runs_in_caller: `False`.

    Raises:
        InvalidArgument: a limit outside its range, or resources that the machine does not have.
    """

    def __init__(
        self,
        workers: int = 1,
        *,
        limits: Limits = _NO_LIMITS,
        devices: Sequence[str | int] | None = None,
        seats: Sequence[Seat] | None = None,
    ) -> None:
        check_whole(workers, "workers", low=1, high=MAX_WORKERS)
        check_watched(limits)
        if seats is None:
            seats = make_seats(workers, limits.resources, devices)
        self._seats = list(seats)
        self.slots = len(self._seats)
        self.runs_in_caller = False
        self.wake_on: tuple[int, ...] = ()
        self._limits = limits
        self._children: dict[int, Child] = {}
        self._guard = Guard()
        self._ended: list[Ended] = []
        self._tries: dict[int, int] = {}
        self._objective = b""
        self._is_woken = False
        self._on_report: ReportHandler | None = None
        self._next_memory_check = 0.0

    def open(self, objective: Callable[..., Any] | Shipped, on_report: ReportHandler) -> None:
        """Prepare to run tasks of one objective.

        Raises:
            InvalidArgument: the objective cannot be pickled.
        """
        if isinstance(objective, Shipped):
            self._objective = objective.data
        else:
            self._objective = shipped(objective)
        self._on_report = on_report

    def start(self, task: Task) -> None:
        """Start a task in an idle worker, or in a new one."""
        assert self._on_report is not None, "open() comes first"
        idle = (s for s, c in self._children.items() if c.task is None)
        free = (s for s in range(self.slots) if s not in self._children)
        seat = next(idle, None)
        if seat is None:
            self._launch(next(free), task)
            return
        try:
            if self._children[seat].has_died():
                raise BrokenPipeError  # a dead process can still hold its end of the pipe
            self._run(seat, task)
        except OSError:  # it died while it was idle
            self._discard(seat)
            self._launch(seat, task)

    def poll(self, timeout_s: float) -> list[Ended]:
        """Serve reports until a task ends or the time is over; return the ended ones."""
        until = time.monotonic() + timeout_s
        self._check_limits()
        while not self._ended:
            wait = min(until, self._next_check()) - time.monotonic()
            seats = self._speaking(max(wait, 0.0))
            for seat in seats:
                self._serve(seat)
            self._check_limits()
            if time.monotonic() >= until or self._is_woken:
                break
        ended, self._ended = self._ended, []
        return sorted(ended, key=lambda e: e.number)

    def stop(self, number: int, outcome: Outcome) -> None:
        """Kill the worker of a running task; the task ends with this outcome."""
        for seat, child in list(self._children.items()):
            if child.task is not None and child.task.number == number:
                self._end(seat, outcome)
                self._discard(seat)

    def notify(self, number: int, decision: Decision) -> None:
        """Tell a running task that does not await decisions how it ends at its next report."""
        for child in self._children.values():
            if child.phase == "running" and child.task is not None and child.task.number == number:
                with _dead_ones_speak_later():
                    child.send(("decision", decision, False))

    def close(self) -> None:
        """End all workers: idle ones tear their objective down, others are killed."""
        idle = [c for c in self._children.values() if c.phase == "idle"]
        for child in idle:
            child.dismiss()
        until = time.monotonic() + TEARDOWN_S
        for child in idle:
            child.wait(max(until - time.monotonic(), 0.0))
        for seat in list(self._children):
            self._discard(seat)
        self._guard.close()
        self._ended.clear()

    # Workers

    def _launch(self, seat: int, task: Task) -> None:
        """Start a worker to run a task, or fail the task after several attempts."""
        tries = self._tries[task.number] = self._tries.get(task.number, 0) + 1
        try:
            child = Child(self._seats[seat].env, self._guard)
        except OSError as error:
            self._start_failed(seat, task, tries, f"worker process could not start: {error}", "")
            return
        child.task, child.deadline = task, time.monotonic() + START_S
        self._children[seat] = child

    def _start_failed(self, seat: int, task: Task, tries: int, reason: str, error: str) -> None:
        if tries < START_TRIES:
            self._launch(seat, task)
            return
        outcome = Outcome(TrialState.FAILED, reason=f"{reason}, {tries} times", error=error)
        self._finish(task, outcome)

    def _run(self, seat: int, task: Task) -> None:
        self._children[seat].run(task, self._seats[seat].devices, self._limits.timeout_s)

    def _discard(self, seat: int) -> None:
        self._children.pop(seat).kill()

    # Messages

    def _speaking(self, wait_s: float) -> list[int]:
        """Return the seats whose workers have sent something, lowest trial number first."""
        seat_of = {d: s for s, child in self._children.items() for d in child.descriptors}
        if not seat_of and not self.wake_on:
            time.sleep(wait_s)  # nothing runs: the caller asked to wait all the same
        spoken = readable([*seat_of, *self.wake_on], wait_s, writable=self._flushed())
        self._is_woken = any(d in self.wake_on for d in spoken)
        seats = {seat_of[d] for d in spoken if d in seat_of}

        def number(seat: int) -> int:
            task = self._children[seat].task
            return -1 if task is None else task.number

        return sorted(seats, key=number)

    def _flushed(self) -> list[int]:
        """Send what workers had no room for; return the descriptors of those that have none."""
        full = []
        for child in self._children.values():
            with _dead_ones_speak_later():
                child.connection.flush()
            if child.connection.has_unsent:
                full.append(child.connection.fileno())
        return full

    def _serve(self, seat: int) -> None:
        child = self._children.get(seat)
        if child is None:  # stopped by the handler of another one's report
            return
        messages = child.messages()
        if messages is None:
            self._bury(seat)
            return
        for kind, *content in messages:
            if self._children.get(seat) is not child:
                return  # stopped by the handler of its report
            if kind == "ready":
                with _dead_ones_speak_later():
                    child.connection.send(self._objective)
            elif kind == "usable":
                assert child.task is not None
                self._tries.pop(child.task.number, None)
                with _dead_ones_speak_later():
                    self._run(seat, child.task)
            elif kind == "unusable":
                reason = f"the objective cannot be loaded in a worker process: {content[0]}"
                self._end(seat, Outcome(TrialState.FAILED, reason=reason))
                self._discard(seat)
            elif kind == "report":
                self._take_report(seat, child, *content)
            else:
                number, outcome, raised = content
                assert child.task is not None and child.task.number == number
                self._end(seat, outcome, unpickled(raised))

    def _take_report(self, seat: int, child: Child, number: int, report: Report) -> None:
        assert self._on_report is not None and child.task is not None
        is_awaited = child.task.waits_after(report)
        decision = self._on_report(number, report)
        if self._children.get(seat) is not child:
            return  # the handler has stopped this very trial
        if is_awaited or decision.action != "continue":
            with _dead_ones_speak_later():
                child.send(("decision", decision, is_awaited))

    def _bury(self, seat: int) -> None:
        """Attribute a death to the task, or retry if the task had not started."""
        child = self._children.pop(seat)
        death, words, was_killed = child.last_words()
        task = child.task
        if task is None:
            return
        if child.phase == "starting":
            self._start_failed(seat, task, self._tries[task.number], death, words)
        else:
            outcome = Outcome(TrialState.FAILED, reason=death, error=words)
            end = Ended(task.number, task.epoch, outcome, has_died=True, was_killed=was_killed)
            self._ended.append(end)

    def _end(self, seat: int, outcome: Outcome, exception: BaseException | None = None) -> None:
        child = self._children[seat]
        task = child.task
        assert task is not None
        child.rest()
        self._finish(task, outcome, exception)

    def _finish(
        self, task: Task, outcome: Outcome, exception: BaseException | None = None
    ) -> None:
        self._tries.pop(task.number, None)
        self._ended.append(Ended(task.number, task.epoch, outcome, exception))

    # Limits

    def _next_check(self) -> float:
        due = [c.deadline for c in self._children.values()]
        if self._limits.memory_mib is not None and self._children:
            due.append(self._next_memory_check)
        return min(due, default=math.inf)

    def _check_limits(self) -> None:
        now = time.monotonic()
        for seat, child in list(self._children.items()):
            if now >= child.deadline:
                limit = self._limits.timeout_s if child.phase == "running" else START_S
                what = "its time limit" if child.phase == "running" else "the time to start"
                self._kill(seat, f"exceeded {what} of {limit:g} s")
        limit_mib = self._limits.memory_mib
        if limit_mib is None or now < self._next_memory_check:
            return
        for seat, child in list(self._children.items()):
            used = child.memory_mib() if child.phase == "running" else 0.0
            if used > limit_mib:
                self._kill(seat, f"used {used:.0f} MiB, its memory limit is {limit_mib:g} MiB")
        self._next_memory_check = time.monotonic() + MEMORY_CHECK_S

    def _kill(self, seat: int, reason: str) -> None:
        child = self._children.pop(seat)
        task = child.task
        assert task is not None
        child.kill()
        words = child.output_tail()
        self._finish(task, Outcome(TrialState.FAILED, reason=reason, error=words))


def check_watched(limits: Limits) -> None:
    """Check the limits that workers are watched for: time and memory.

    Raises:
        InvalidArgument: a limit lies outside its range.
    """
    for name in ("timeout_s", "memory_mib"):
        value = getattr(limits, name)
        if value is not None and not (math.isfinite(value) and value > 0):
            raise InvalidArgument(f"{name}={value!r}, expected a number above 0, or None.")


@contextmanager
def _dead_ones_speak_later() -> Iterator[None]:
    """Let a send fail: the next `messages` finds the process dead and says how it died."""
    try:
        yield
    except OSError:
        pass


def unpickled(raised: bytes) -> BaseException | None:
    """Return the exception that a worker sent, `None` if it cannot be restored here."""
    try:
        error = pickle.loads(raised) if raised else None  # noqa: S301 - from our own worker
    except Exception:  # a class that takes other arguments than it keeps
        return None
    return error if isinstance(error, BaseException) else None


def shipped(
    objective: Callable[..., Any],
    *,
    name: str = "the objective",
    otherwise: str = 'use executor="inline"',
) -> bytes:
    """Return the pickled objective, by value if workers cannot import its module.

    Args:
        objective: what to pickle.
        name: what the error calls it.
        otherwise: what the error advises, where things inside of it cannot be pickled.

    Raises:
        InvalidArgument: it cannot be pickled.
    """
    module = sys.modules.get(getattr(objective, "__module__", None) or "")
    by_value = module is not None and not _is_importable(module.__name__)
    try:
        if by_value:
            cloudpickle.register_pickle_by_value(module)
        return bytes(cloudpickle.dumps(objective))
    except Exception as error:
        raise InvalidArgument(
            f"{name} {objective!r} cannot be sent to worker processes: "
            f"{type(error).__name__}: {error}; open files, locks and connections inside it, "
            f"or {otherwise}."
        ) from error
    finally:
        if by_value:
            cloudpickle.unregister_pickle_by_value(module)


def _is_importable(name: str) -> bool:
    top = name.partition(".")[0]
    if top == "__main__" or top in sys.builtin_module_names:
        return True  # cloudpickle ships __main__ by value on its own
    finders = (getattr(f, "find_spec", None) for f in sys.meta_path)
    return any(find is not None and find(top, None) is not None for find in finders)
