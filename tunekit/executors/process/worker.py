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
from tunekit.records import Decision, Outcome, Report

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
            task, devices = _receive(connection)
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

    def send(report: Report) -> Decision:
        _send(connection, "report", task.number, report)
        decision: Decision = _receive(connection)
        return decision

    trial = Trial(task, send, devices=devices)
    try:
        outcome, raised = run_objective(objective, trial)
    except KeyboardInterrupt as error:  # the driver's terminal does not reach us: it is its own
        outcome, raised = failure(trial, error), error
    with contextlib.suppress(Exception):
        sys.stdout.flush()
    return outcome, b"" if raised is None else pickled(raised)


def pickled(error: BaseException) -> bytes:
    """Return an exception without its frames as bytes, empty if it cannot be pickled."""
    error.__traceback__ = None
    try:
        return bytes(cloudpickle.dumps(error))
    except Exception:  # its fields may be anything; the outcome has its text
        return b""
