"""Services and workers as processes of their own, to be killed and frozen by tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil

from tunekit.testing.postgres import free_port

DEADLINE_S = 240.0
"""Seconds in which anything that is waited for happens, also on a machine under load."""

LOOK_S = 0.02


def wait_for(what: Callable[[], object], doing: str) -> None:
    """Return once `what()` is true.

    Raises:
        AssertionError: it was not within `DEADLINE_S`.
    """
    until = time.monotonic() + DEADLINE_S
    while not what():
        assert time.monotonic() < until, f"still waiting: {doing}"
        time.sleep(LOOK_S)


def wait_beside(process: subprocess.Popen[Any], what: Callable[[], object]) -> bool:
    """Return once `what()` is true, or the process has ended; return whether it still ran.

    It looks every few milliseconds: a loop without a rest would take the process a core.
    """
    while (is_running := process.poll() is None) and not what():
        time.sleep(LOOK_S)
    return is_running


class Processes:
    """Starts processes, and kills at its end those that are left; a context."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: list[subprocess.Popen[bytes]] = []
        self._files = ExitStack()

    def __enter__(self) -> Processes:
        """Return it."""
        return self

    def __exit__(self, *raised: object) -> None:
        """Kill what is left."""
        for process in self._started:
            kill(process)
        self._files.close()

    def log(self, process: subprocess.Popen[bytes]) -> str:
        """Return what a process has written."""
        number = self._started.index(process)
        return (self._folder / f"process-{number}.log").read_text(errors="replace")

    def start(
        self, *arguments: object, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start Python with arguments; its output goes to a file, which never fills up."""
        path = self._folder / f"process-{len(self._started)}.log"
        output = self._files.enter_context(path.open("wb"))
        process = subprocess.Popen(  # noqa: S603 - our own arguments, no shell
            [sys.executable, *map(str, arguments)],
            stdout=output,
            stderr=output,
            env={**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})},
        )
        self._started.append(process)
        return process

    def finish(self, processes: Sequence[subprocess.Popen[bytes]]) -> None:
        """Wait for processes; each has to succeed."""
        for process in processes:
            process.wait(DEADLINE_S)
            assert process.returncode == 0, self.log(process)


class ServiceProcess:
    """`tunekit serve` in its own process, always on the same port.

    Attributes:
        port: where it listens.
        url: of the service, without a project.
    """

    def __init__(self, processes: Processes, storage: str, *flags: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._processes = processes
        self._command = ("-m", "tunekit", "serve", "--storage", storage, "--port", self.port)
        self._flags = ("--log-level", "error", *(flags or ("--no-accounts",)))
        self.start()

    def start(self) -> None:
        """Start it, and return when it answers."""
        self._process = self._processes.start(*self._command, *self._flags)
        wait_for(self._is_up, "for the service to answer")

    def kill(self) -> None:
        """Kill it without warning, with the processes that it has started."""
        kill(self._process)

    def stop(self) -> None:
        """End it as an init system does."""
        self._process.terminate()
        self._process.wait(DEADLINE_S)

    @property
    def log(self) -> str:
        """Return what it has written since it was started last."""
        return self._processes.log(self._process)

    @property
    def seen(self) -> psutil.Process:
        """Return the process as psutil shows it: its memory, its limits."""
        return psutil.Process(self._process.pid)

    def _is_up(self) -> bool:
        assert self._process.poll() is None, self.log
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=10) as answer:  # noqa: S310
                return bool(answer.status < 400)
        except OSError:
            return False


def kill(process: subprocess.Popen[bytes]) -> bool:
    """Kill a process and those it has started; return whether it still ran."""
    was_alive = process.poll() is None
    if was_alive:
        family = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGKILL)  # also a frozen one
        for child in family:
            if child.is_running():
                child.kill()
    process.wait()
    return was_alive
