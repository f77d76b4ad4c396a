"""Runs tasks in single-threaded worker processes; Ctrl-C ends them immediately."""

from __future__ import annotations

import logging
import os
import signal
import traceback
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, Protocol, TypeVar

from tunekit.samplers.threads import one_thread


class BenchTask(Protocol):
    """Work that can be sent to a worker process."""

    def run(self) -> Any:
        """Run the task and return a picklable result."""
        ...


T = TypeVar("T", bound=BenchTask)


@dataclass(frozen=True, slots=True)
class Done(Generic[T]):
    """A finished task with its result or its error message."""

    task: T
    result: Any = None
    error: str = ""
    trace: str = ""


def perform(tasks: Sequence[T], *, jobs: int) -> Iterator[Done[T]]:
    """Run tasks in `jobs` processes (0: in this one) and yield each as it ends.

    A process that dies loses only its own task. If the caller stops iterating or is
    interrupted, all processes are terminated.
    """
    if jobs == 0:
        yield from map(_done, tasks)
        return
    waiting = list(reversed(tasks))
    crew: dict[Connection, _Worker[T]] = {}
    try:
        while waiting or crew:
            while waiting and len(crew) < jobs:
                _hire(crew, waiting.pop())
            for pipe in wait(list(crew)):
                assert isinstance(pipe, Connection)
                worker = crew[pipe]
                done, alive = worker.answer()
                if alive and waiting:
                    worker.give(waiting.pop())
                else:
                    del crew[pipe]
                    worker.dismiss()
                yield done
    finally:
        for worker in crew.values():
            worker.kill()


def _hire(crew: dict[Connection, _Worker[T]], task: T) -> None:
    worker = _Worker(task)
    crew[worker.pipe] = worker


class _Worker(Generic[T]):
    def __init__(self, task: T) -> None:
        context = get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()
        self.give(task)

    def give(self, task: T) -> None:
        self._task = task
        self.pipe.send(task)

    def answer(self) -> tuple[Done[T], bool]:
        """Return the ended task and whether its process is alive."""
        try:
            result, error, trace = self.pipe.recv()
        except (EOFError, OSError):
            self._process.join()
            code = self._process.exitcode
            return Done(self._task, error=f"the worker process died (exit code {code})"), False
        return Done(self._task, result, error, trace), True

    def dismiss(self) -> None:
        self.pipe.close()
        self._process.join()

    def kill(self) -> None:
        self._process.kill()
        self.dismiss()


def _serve(pipe: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles interrupts
    # Contenders print to stdout, which is reserved for the command's results.
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        done = _done(task)
        try:
            pipe.send((done.result, done.error, done.trace))
        except BrokenPipeError:  # the parent has exited
            return


def _done(task: T) -> Done[T]:
    try:
        with one_thread():
            return Done(task, task.run())
    except Exception as error:
        said = " ".join(str(error).split())
        text = f"{type(error).__name__}: {said}" if said else type(error).__name__
        return Done(task, error=text, trace=traceback.format_exc())
