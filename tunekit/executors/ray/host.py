"""Runs in a Ray actor: takes tasks from its driver and runs them in a child process.

The actor holds the place and the devices. The objective runs in a child process, so that a crash,
a hang or exhausted memory costs one trial and is reported as such, while a trial whose actor or
node is lost runs again.
"""

from __future__ import annotations

import contextlib
import io
import os
import select
import socket
import sys
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TextIO

from tunekit.errors import RankLost
from tunekit.executors.base import Ended, Limits, Ranks, Task
from tunekit.executors.devices import Seat, thread_limits
from tunekit.executors.process.child import TAIL_BYTES
from tunekit.executors.process.executor import ProcessExecutor, Shipped
from tunekit.executors.process.worker import pickled
from tunekit.executors.ray.wire import MessageChannel
from tunekit.records import CONTINUE, Decision, Report

POLL_S = 60.0
LOGGED_BYTES = 1 << 20
MAX_UNSENT = 1000
"""Reports that are kept while the driver takes the batch before; then the trial waits."""


@dataclass(frozen=True, slots=True)
class Setup:
    """The driver's settings that a worker needs.

    Attributes:
        key: names the worker to its driver.
        address: where the driver listens.
        token: what to say first.
        limits: of one trial.
        folder: where the driver runs; used where it exists, for relative paths.
        ranks_token: what is said first among the workers of one trial.
    """

    key: int
    address: tuple[str, int]
    token: bytes = field(repr=False)
    limits: Limits
    folder: str | None
    ranks_token: bytes = field(repr=False)

    def enter_folder(self) -> None:
        """Change to the driver's folder, if it exists here."""
        if self.folder is not None and os.path.isdir(self.folder):
            os.chdir(self.folder)

    def thread_limits(self) -> dict[str, str]:
        """Return the variables that limit a process to its assigned cores, if any."""
        cpu = self.limits.resources.get("cpu")
        return {} if cpu is None else thread_limits(cpu)

    def process_limits(self) -> Limits:
        """Return the limits left to enforce, as Ray assigns the resources."""
        return Limits(timeout_s=self.limits.timeout_s, memory_mib=self.limits.memory_mib)


def serve(
    setup: Setup,
    objective: bytes,
    *,
    node: str,
    devices: tuple[str, ...],
    ranks: Ranks | None = None,
) -> None:
    """Run tasks until the driver disconnects or dies.

    Args:
        setup: what is known of the driver.
        objective: what it ships, pickled.
        node: Ray's id of this node.
        devices: the accelerators that Ray dealt to this worker.
        ranks: where the other processes of a trial have their places, if they have.

    Raises:
        ConnectionError: the driver cannot be reached.
    """
    setup.enter_folder()
    try:
        line = MessageChannel.connect(setup.address, setup.token)
    except OSError as error:
        host, port = setup.address
        raise ConnectionError(f"cannot reach the driver at {host}:{port}: {error}") from None
    seat = Seat(devices, setup.thread_limits())
    executor = ProcessExecutor(limits=setup.process_limits(), seats=[seat])
    log = TrialLog(sys.stderr)
    with contextlib.redirect_stderr(log):
        try:
            line.send("hello", setup.key, node, socket.gethostname(), os.getpid(), devices)
            _Host(line, executor, log, ranks).run(Shipped(objective))
        except OSError:
            pass  # it hung up while we spoke
        finally:
            executor.close()
            line.close()


class _Host:
    """One driver, one process of the objective, one task at a time."""

    def __init__(
        self, line: MessageChannel, executor: ProcessExecutor, log: TrialLog, ranks: Ranks | None
    ) -> None:
        self._line = line
        self._executor = executor
        self._log = log
        self._ranks = ranks
        self._waiting: deque[tuple[int, Task]] = deque()
        self._run: int | None = None
        self._task: Task | None = None
        self._unsent: list[Report] = []
        self._is_undecided = False  # on the batch of reports that was sent last
        self._decision = CONTINUE
        self._is_open = True

    def run(self, objective: Shipped) -> None:
        self._executor.open(objective, self._on_report)
        self._executor.wake_on = (self._line.fileno(),)
        while True:
            self._listen()
            if not self._is_open:
                return
            if self._run is None and self._waiting:
                self._executor.poll(0)  # the end of one that the driver stopped is not the next's
                self._run, task = self._waiting.popleft()
                self._task = replace(task, ranks=self._ranks)
                self._log.forget()
                self._forget_reports()
                self._executor.start(self._task)
            for ended in self._executor.poll(POLL_S):
                if isinstance(ended.exception, RankLost):
                    self._line.send("lost", ended.exception.message)
                    return  # without its followers this worker is of no use
                self._tell(ended)

    def _listen(self) -> None:
        messages, self._is_open = self._line.receive()
        for kind, run, *content in messages:
            if kind == "run":
                self._waiting.append((run, content[0]))
            elif kind == "decision" and run == self._run:
                self._take_decision(content[0])
            elif kind == "stop" and run == self._run:
                assert self._task is not None
                self._run = None  # the driver has already ended it, so nothing is reported
                self._forget_reports()
                self._executor.stop(self._task.number, content[0])
            elif kind == "leave":
                self._is_open = False

    # One batch of reports is on its way at a time, and what comes meanwhile is the next. So a
    # batch grows with the time that the driver takes, and its socket never fills up.

    def _on_report(self, number: int, report: Report) -> Decision:
        assert self._task is not None
        self._unsent.append(report)
        if self._task.waits_after(report) or len(self._unsent) >= MAX_UNSENT:
            return self._decided()
        if not self._is_undecided:
            self._send_reports()
        return CONTINUE

    def _decided(self) -> Decision:
        """Wait until the driver has taken all reports; return its last decision."""
        run = self._run
        if not self._is_undecided:
            self._send_reports()
        while self._is_open and self._run == run and self._is_undecided:
            select.select([self._line], [], [])
            self._listen()
        return self._decision

    def _send_reports(self) -> None:
        if self._unsent:
            self._line.send("reports", self._run, self._unsent)
            self._unsent, self._is_undecided = [], True

    def _take_decision(self, decision: Decision) -> None:
        assert self._task is not None
        self._decision, self._is_undecided = decision, False
        if decision.action != "continue" and not self._task.awaits_decisions:
            self._executor.notify(self._task.number, decision)
        self._send_reports()

    def _forget_reports(self) -> None:
        self._unsent, self._is_undecided, self._decision = [], False, CONTINUE

    def _tell(self, ended: Ended) -> None:
        if self._run is not None:
            self._send_reports()  # also while the batch before is under way: order is kept
            raised = b"" if ended.exception is None else pickled(ended.exception)
            told = ended.outcome, raised, ended.has_died, ended.was_killed, self._log.tail()
            self._line.send("ended", self._run, *told)
            self._run = None


class TrialLog(io.TextIOBase):
    """Captures trials' output: its start goes to Ray's log, its end is kept."""

    def __init__(self, target: TextIO) -> None:
        self._target = target
        self.forget()

    def forget(self) -> None:
        """Start over with another trial."""
        self._left = LOGGED_BYTES
        self._tail = ""

    def tail(self) -> str:
        """Return the end of the trial's output."""
        return self._tail[-TAIL_BYTES:].strip()

    def write(self, text: str) -> int:
        """Capture a chunk of output."""
        self._tail = (self._tail + text)[-2 * TAIL_BYTES :]
        if self._left > 0:
            self._target.write(text[: self._left])
            self._left -= len(text)
            if self._left <= 0:
                self._target.write(f"\n... (more than {LOGGED_BYTES >> 20} MiB: cut here)\n")
        return len(text)

    def flush(self) -> None:
        """Flush Ray's log."""
        self._target.flush()
