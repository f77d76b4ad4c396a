"""The main loop of a worker process, which runs its driver's tasks one after the other.

It trusts the connection because its own parent created it, a socket pair private to both.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import io
import os
import pickle
import select
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import cloudpickle

from tunekit.executors.base import Task
from tunekit.executors.objective import failure, run_objective
from tunekit.executors.prepared import PreparedObjectives
from tunekit.executors.trial import Trial
from tunekit.records import CONTINUE, Decision, Outcome, Report

PR_SET_PDEATHSIG = 1


def main(descriptor: int, driver: int) -> None:
    """Serve a driver until it closes the connection.

    Args:
        descriptor: our end of the socket pair.
        driver: process id of the driver, whose death ends this process at once.
    """
    os.set_inheritable(descriptor, False)  # not for the programs that an objective starts
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != driver:
        return  # it died before the line above
    faulthandler.enable()  # a segfault leaves its Python stack in the trial's error
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    connection = Connection(descriptor)
    with contextlib.suppress(EOFError, ConnectionError):
        _send(connection, "ready")
        objective = _load(connection)
        if objective is not None:
            _serve(connection, objective)


def _serve(connection: Connection, objective: Callable[..., Any]) -> None:
    """Run tasks until the driver closes the connection."""
    prepared = PreparedObjectives()
    try:
        while True:
            kind, *content = _receive(connection)
            if kind == "decision":  # on a report of the trial before, which has ended meanwhile
                continue
            task, devices = content
            run = prepared.of(task, objective, devices=devices)
            ended = _run(connection, run, task, devices)
            _send(connection, "ended", task.number, *ended)
    finally:
        prepared.tear_down()
        with contextlib.suppress(Exception):
            sys.stdout.flush()
        # What an objective leaves behind, such as its threads, must not keep the process.
        os._exit(0)


def _send(connection: Connection, *message: Any) -> None:
    # Not connection.send: its pickler knows how to hand over open files, and takes longer for it.
    connection.send_bytes(pickle.dumps(message, pickle.HIGHEST_PROTOCOL))


def _receive(connection: Connection) -> Any:
    return pickle.loads(connection.recv_bytes())  # noqa: S301 - from our parent


def _load(connection: Connection) -> Callable[..., Any] | None:
    shipped = connection.recv_bytes()
    try:
        objective: Callable[..., Any] = pickle.loads(shipped)  # noqa: S301 - from our parent
    except BaseException as error:  # also sys.exit() at the top of the objective's module
        _send(connection, "unusable", f"{type(error).__name__}: {error}")
        return None
    _send(connection, "usable")
    return objective


def _run(
    connection: Connection, objective: Callable[..., Any], task: Task, devices: tuple[str, ...]
) -> tuple[Outcome, bytes]:
    """Return the outcome, and the pickled exception if there is one and it can be pickled."""
    trial = Trial(task, _Reporter(connection, task).send, devices=devices)
    try:
        outcome, raised = run_objective(objective, trial)
    except KeyboardInterrupt as error:  # the driver's terminal does not reach us: it is its own
        outcome, raised = failure(trial, error), error
    with contextlib.suppress(Exception):
        sys.stdout.flush()
    return outcome, b"" if raised is None else pickled(raised)


class _Reporter:
    """Sends the reports of one trial, and waits only for the decisions that it needs."""

    def __init__(self, connection: Connection, task: Task) -> None:
        self._connection = connection
        self._task = task
        self._told: Decision | None = None
        # Not connection.poll, which builds a selector each time, which takes longer than a report.
        self._arrived = select.poll()
        self._arrived.register(connection.fileno(), select.POLLIN)

    def send(self, report: Report) -> Decision:
        """Send a report; return the decision on it, or on an earlier one that ends the trial."""
        _send(self._connection, "report", self._task.number, report)
        answer = None if self._task.waits_after(report) else CONTINUE
        while answer is None or self._arrived.poll(0):
            _, decision, is_awaited = _receive(self._connection)
            if is_awaited:
                answer = decision
            else:
                self._told = decision
        return self._told or answer


def pickled(error: BaseException) -> bytes:
    """Return an exception without its frames as bytes, empty if it cannot be pickled."""
    error.__traceback__ = None
    try:
        return bytes(cloudpickle.dumps(error))
    except Exception:  # its fields may be anything; the outcome has its text
        return b""
