"""A process beside the service that does long work: started, asked, and ended when it hangs.

Work that takes CPU for seconds would, on a thread, share the interpreter with the requests of
workers and take about half of it; a process of its own leaves all of it to them.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any, TypeVar

from tunekit.samplers.threads import one_thread

R = TypeVar("R")


class ProcessEnded(Exception):
    """A helper process ended before it answered."""


class ProcessLate(ProcessEnded):
    """A helper process was ended because it missed a deadline; the text names it."""


@dataclass(frozen=True, slots=True)
class Refused:
    """An error of tunekit's, by its code and sentence, as it comes through the pipe."""

    code: str
    message: str


class HelperProcess:
    """One process, started with its first task and again after its end.

    Args:
        main: function of a module, called in the process with its end of a pipe and the URL.
        url: of the storage, with its password.
        name: of the process.
    """

    def __init__(self, main: Callable[[Connection, str], None], url: str, *, name: str) -> None:
        self._main = main
        self._url = url
        self._name = name
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._lock = threading.Lock()
        self._process: SpawnProcess | None = None
        self._pipe: Connection | None = None
        self._is_closed = False

    @property
    def pid(self) -> int | None:
        """Return the process id, `None` before the first task."""
        return None if self._process is None else self._process.pid

    async def ask(self, task: Callable[[Connection], R]) -> R:
        """Return `task(pipe)`, run on a thread; tasks wait for each other.

        Raises:
            ProcessLate: the task did; the process is ended.
            ProcessEnded: it was killed or crashed, or the service is shutting down.
        """
        if self._is_closed:
            raise ProcessEnded("the service is shutting down")
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._run, task)

    def close(self) -> None:
        """End the process; a task at work ends with `ProcessEnded`."""
        with self._lock:
            self._is_closed = True
            self._end()
        self._thread.shutdown()

    def _run(self, task: Callable[[Connection], R]) -> R:
        try:
            return task(self._started())
        except ProcessLate:
            with self._lock:
                self._end()
            raise
        except (EOFError, OSError):
            with self._lock:
                self._end()
            raise ProcessEnded(f"the process {self._name} ended") from None

    def _started(self) -> Connection:
        with self._lock:
            if self._is_closed:
                raise EOFError
            if self._pipe is None:
                context = multiprocessing.get_context("spawn")
                ours, theirs = context.Pipe()
                process = context.Process(
                    target=_begin, args=(self._main, theirs, self._url), name=self._name,
                    daemon=True,
                )  # fmt: skip
                process.start()
                theirs.close()
                self._process, self._pipe = process, ours
            return self._pipe

    def _end(self) -> None:
        """End the process; the lock is held."""
        process, pipe, self._process, self._pipe = self._process, self._pipe, None, None
        if process is not None:
            process.kill()
            process.join()
            process.close()
        if pipe is not None:
            pipe.close()


def received(pipe: Connection, timeout_s: float, what: str) -> Any:
    """Return what the process sends next.

    Raises:
        ProcessLate: nothing arrived in time; its text is `what` and the seconds.
    """
    if not pipe.poll(timeout_s):
        raise ProcessLate(f"{what} within {timeout_s:g} s")
    return pipe.recv()


def answer_all(pipe: Connection, answer: Callable[[Any], Any]) -> None:
    """Answer what arrives, in a helper process, until the other end closes."""
    with one_thread():
        while True:
            try:
                asked = pipe.recv()
            except (EOFError, OSError):
                return
            pipe.send(answer(asked))


def _begin(main: Callable[[Connection, str], None], pipe: Connection, url: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the service ends this one
    threading.Thread(target=_end_with_parent, daemon=True).start()
    main(pipe, url)


def _end_with_parent() -> None:
    """End this process with its parent, also while it is at work."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
