# ruff: noqa: D102 - the name of a test is its sentence
"""Tests an executor for conformance: each task yields exactly one `Ended`, whatever happens.

Subclass `ExecutorConformance` for an executor within one process, and also `CrashConformance`
for one that survives crashes, hangs and memory hogs.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tunekit.errors import TrialStopped
from tunekit.executors.base import Executor, Limits, ReportHandler
from tunekit.executors.trial import Trial
from tunekit.records import CONTINUE, Decision, Outcome, Report, TrialState
from tunekit.testing.prepared import PreparedRules
from tunekit.testing.tasks import PATIENCE_S, make_task, run_tasks

CANCELLED = Outcome(TrialState.CANCELLED, reason="by a person")


class Unpicklable(Exception):
    """An exception that cannot be pickled."""

    def __init__(self, text: str, lock: object) -> None:
        super().__init__(text)
        self.lock = lock


def behave(trial: Trial, first: Callable[[Trial], Any]) -> Any:
    """Call `first` in trial 0; report and return normally in all others."""
    return first(trial) if trial.number == 0 else float(trial.number)


def _raise(trial: Trial) -> Any:
    raise ValueError("boom")


def _raise_unpicklable(trial: Trial) -> Any:
    raise Unpicklable("boom", threading.Lock())


def _exit(trial: Trial) -> Any:
    sys.exit(3)


def _report_and_finish(trial: Trial) -> float:
    for step in range(1000):
        trial.report(1000.0 - step, step)
    return 0.5


def _report_for_ever(trial: Trial) -> Any:
    step = 0
    while True:
        trial.report(1.0, step)
        step += 1


def _go_on_after_the_stop(trial: Trial) -> float:
    step = 0
    while trial.report(1.0, step, raise_on_stop=False).action == "continue":
        step += 1
    again = trial.report(1.0, step + 1, raise_on_stop=False)
    saved = trial.forward(Report(step + 2, {}, checkpoint=True))
    assert (again.action, saved.action) == ("stop", "stop")
    raise TrialStopped(saved.reason)


def _save_and_obey(trial: Trial) -> float:
    decision = trial.forward(Report(0, {}, checkpoint=True))
    if decision.action == "stop":
        raise TrialStopped(decision.reason)
    return 0.1


def _report_and_leave(trial: Trial) -> Any:
    for step in range(100):
        trial.report(1.0, step)
    os._exit(0)


def _swallow_the_stop(trial: Trial) -> float:
    try:
        trial.report(1.0, 0)
    except TrialStopped:
        return 0.9
    return 0.1


def _hang(trial: Trial) -> Any:
    trial.report(1.0, 0)
    threading.Event().wait()


def _hang_with_a_child(trial: Trial) -> Any:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
    trial.report({"pid": child.pid}, 0)
    child.wait()


def _hog(trial: Trial) -> Any:
    held = [bytearray(8 << 20) for _ in range(64)]
    threading.Event().wait()
    return len(held)


def _print_much(trial: Trial) -> Any:
    for _ in range(200):
        sys.stdout.write("x" * 50_000)
    sys.stdout.write("\nthe last line\n")
    sys.stdout.flush()
    os._exit(7)


def _segfault(trial: Trial) -> Any:
    return ctypes.string_at(0)


def _kill_itself(trial: Trial) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def _leave_at_once(trial: Trial) -> Any:
    os._exit(0)


def _close_everything(trial: Trial) -> Any:
    os.closerange(3, 1024)
    return 1.0


def _fork_and_return(trial: Trial) -> float:
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
    return 1.0


def _report_from_a_fork(trial: Trial) -> float:
    pid = os.fork()
    if pid == 0:
        try:
            trial.report(5.0, 5)
        except ValueError:
            os._exit(0)
        os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0
    return 1.0


def _continue(number: int, report: Report) -> Decision:
    return CONTINUE


class ExecutorConformance(PreparedRules):
    """Rules for every executor. Subclasses implement `make`."""

    def make(self) -> Executor:
        """Return a new executor."""
        raise NotImplementedError

    @contextlib.contextmanager
    def opened(
        self, first: Callable[[Trial], Any], on_report: ReportHandler = _continue, **options: Any
    ) -> Iterator[Executor]:
        """Open an executor whose trial 0 calls `first`."""
        executor = self.make(**options)
        executor.open(functools.partial(behave, first=first), on_report)
        try:
            yield executor
        finally:
            executor.close()

    @pytest.mark.parametrize(
        ("first", "state", "words"),
        [
            (_raise, TrialState.FAILED, "boom"),
            (_raise_unpicklable, TrialState.FAILED, "boom"),
            (_exit, TrialState.FAILED, "sys.exit(3)"),
            (lambda trial: math.nan, TrialState.DIVERGED, "loss"),
            (lambda trial: -math.inf, TrialState.DIVERGED, "loss"),
            (lambda trial: "garbage", TrialState.FAILED, "garbage"),
            (lambda trial: None, TrialState.FAILED, "None"),
            (lambda trial: 0.25, TrialState.COMPLETE, ""),
            (_report_and_finish, TrialState.COMPLETE, ""),
        ],
    )
    def test_each_task_ends_once_and_costs_no_other(
        self, first: Callable[[Trial], Any], state: TrialState, words: str
    ) -> None:
        with self.opened(first) as executor:
            ended = run_tasks(executor, 4)
        assert ended[0].outcome.state is state
        assert words in ended[0].outcome.reason
        assert [e.outcome.metrics for e in ended[1:]] == [{"loss": float(k)} for k in (1, 2, 3)]

    def test_an_exception_comes_with_its_traceback(self) -> None:
        with self.opened(_raise) as executor:
            ended = run_tasks(executor, 1)[0]
        assert "in _raise" in ended.outcome.error
        assert isinstance(ended.exception, ValueError)

    @pytest.mark.parametrize("awaits_decisions", [True, False])
    def test_all_reports_arrive_in_order_on_the_calling_thread(
        self, awaits_decisions: bool
    ) -> None:
        seen: list[tuple[int, int]] = []
        threads = set()

        def on_report(number: int, report: Report) -> Decision:
            seen.append((number, report.step))
            threads.add(threading.get_ident())
            return CONTINUE

        with self.opened(_report_and_finish, on_report) as executor:
            run_tasks(executor, 2, awaits_decisions=awaits_decisions)
        assert seen == [(0, step) for step in range(1000)]
        assert threads == {threading.get_ident()}

    @pytest.mark.parametrize("first", [_report_for_ever, _swallow_the_stop])
    def test_a_decision_to_stop_ends_the_trial_with_its_reason(
        self, first: Callable[[Trial], Any]
    ) -> None:
        def on_report(number: int, report: Report) -> Decision:
            return Decision("stop", "hopeless", {"p": 0.01})

        with self.opened(first, on_report) as executor:
            outcome = run_tasks(executor, 2)[0].outcome
        assert (outcome.state, outcome.reason) == (TrialState.STOPPED, "hopeless")
        assert outcome.evidence == {"p": 0.01}

    @pytest.mark.parametrize("first", [_report_for_ever, _go_on_after_the_stop, _save_and_obey])
    def test_a_trial_that_does_not_wait_stops_at_a_later_report_or_at_a_checkpoint(
        self, first: Callable[[Trial], Any]
    ) -> None:
        def on_report(number: int, report: Report) -> Decision:
            return Decision("stop", "hopeless")

        with self.opened(first, on_report) as executor:
            ended = run_tasks(executor, 3, awaits_decisions=False)
        outcome = ended[0].outcome
        assert (outcome.state, outcome.reason) == (TrialState.STOPPED, "hopeless")
        assert [e.outcome.metrics for e in ended[1:]] == [{"loss": 1.0}, {"loss": 2.0}]

    @pytest.mark.parametrize("awaits_decisions", [True, False])
    @pytest.mark.parametrize("first", [_report_for_ever, _swallow_the_stop])
    def test_a_stop_from_within_a_report_gives_the_outcome_it_names(
        self, first: Callable[[Trial], Any], awaits_decisions: bool
    ) -> None:
        def on_report(number: int, report: Report) -> Decision:
            executor.stop(number, CANCELLED)
            return CONTINUE

        with self.opened(first, on_report) as executor:
            ended = run_tasks(executor, 3, awaits_decisions=awaits_decisions)
        assert ended[0].outcome == CANCELLED
        assert ended[1].outcome.state is TrialState.COMPLETE

    def test_a_stop_of_a_task_that_does_not_run_changes_nothing(self) -> None:
        with self.opened(lambda trial: 1.0) as executor:
            executor.stop(17, CANCELLED)
            run_tasks(executor, 2)
            executor.stop(0, CANCELLED)
            assert executor.poll(0) == []


class CrashConformance(ExecutorConformance):
    """Further rules for an executor with processes. Subclasses implement `make(limits=...)`."""

    @pytest.mark.parametrize(
        ("first", "words"),
        [
            (_leave_at_once, "status 0"),
            (_segfault, "SIGSEGV"),
            (_kill_itself, "SIGKILL"),
            (_print_much, "status 7"),
            (_close_everything, "worker process"),
        ],
    )
    def test_a_crash_costs_one_trial_and_says_how_it_died(
        self, first: Callable[[Trial], Any], words: str
    ) -> None:
        with self.opened(first) as executor:
            ended = run_tasks(executor, 4)
        assert ended[0].outcome.state is TrialState.FAILED
        assert words in ended[0].outcome.reason
        assert all(e.outcome.state is TrialState.COMPLETE for e in ended[1:])

    def test_a_crash_loses_no_report_that_was_made_before_it(self) -> None:
        seen: list[int] = []

        def on_report(number: int, report: Report) -> Decision:
            seen.append(report.step)
            return CONTINUE

        with self.opened(_report_and_leave, on_report) as executor:
            ended = run_tasks(executor, 2, awaits_decisions=False)
        assert "status 0" in ended[0].outcome.reason
        assert seen == list(range(100))

    def test_the_error_of_a_crash_is_the_bounded_end_of_its_output(self) -> None:
        with self.opened(_print_much) as executor:
            error = run_tasks(executor, 1)[0].outcome.error
        assert error.endswith("the last line")
        assert len(error) <= 8 * 1024

    def test_a_segfault_leaves_the_python_stack(self) -> None:
        with self.opened(_segfault) as executor:
            assert "_segfault" in run_tasks(executor, 1)[0].outcome.error

    def test_a_hang_ends_at_its_time_limit(self) -> None:
        with self.opened(_hang, limits=Limits(timeout_s=1.5)) as executor:
            ended = run_tasks(executor, 3)
        assert ended[0].outcome.reason == "exceeded its time limit of 1.5 s"
        assert all(e.outcome.state is TrialState.COMPLETE for e in ended[1:])

    def test_a_memory_hog_ends_at_its_limit_and_the_figure_is_told(self) -> None:
        with self.opened(_hog, limits=Limits(memory_mib=400)) as executor:
            ended = run_tasks(executor, 2)
        assert ended[0].outcome.state is TrialState.FAILED
        assert "memory limit is 400 MiB" in ended[0].outcome.reason
        assert ended[1].outcome.state is TrialState.COMPLETE

    @pytest.mark.parametrize("first", [_fork_and_return, _report_from_a_fork])
    def test_a_forking_objective_ends_once(self, first: Callable[[Trial], Any]) -> None:
        with self.opened(first) as executor:
            ended = run_tasks(executor, 3)
        assert [e.outcome.state for e in ended] == [TrialState.COMPLETE] * 3

    def test_a_stop_kills_what_the_trial_has_started_as_well(self) -> None:
        import psutil

        started: list[psutil.Process] = []

        def on_report(number: int, report: Report) -> Decision:
            started.append(psutil.Process(int(report.metrics["pid"])))
            return CONTINUE

        with self.opened(_hang_with_a_child, on_report) as executor:
            executor.start(make_task(0))
            while not started:
                assert executor.poll(0.2) == []
            executor.stop(0, CANCELLED)
            assert [e.outcome for e in executor.poll(0)] == [CANCELLED]
        assert psutil.wait_procs(started, timeout=PATIENCE_S)[1] == []

    def test_closing_kills_all_that_runs(self) -> None:
        import psutil

        reported = threading.Event()

        def on_report(number: int, report: Report) -> Decision:
            reported.set()
            return CONTINUE

        before = set(psutil.Process().children(recursive=True))
        with self.opened(_hang, on_report) as executor:
            executor.start(make_task(0))
            while not reported.is_set():
                executor.poll(0.2)
            workers = set(psutil.Process().children(recursive=True)) - before
            assert workers
        assert psutil.wait_procs(list(workers), timeout=PATIENCE_S)[1] == []
