"""Objectives with a set-up and a tear-down, once in each process that runs their trials."""

from __future__ import annotations

import inspect
import logging
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from tunekit.executors.base import Task
from tunekit.executors.objective import objective_of
from tunekit.executors.trial import Trial

log = logging.getLogger("tunekit")


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """The process that an objective is set up in.

    Attributes:
        study: the name of the study whose trials it runs.
        host: the name of the machine.
        pid: of the process.
        devices: the accelerators of its first trial; `trial.devices` are those of each.
    """

    study: str
    host: str
    pid: int
    devices: tuple[str, ...] = ()


@runtime_checkable
class Objective(Protocol):
    """An objective that is prepared once in each process: load data, open a pool, warm a cache.

    Any object with these three methods is one; a plain function needs none of it. An exception
    in `setup` fails the trial that it was called for, and the next trial tries again.
    """

    def setup(self, worker: WorkerInfo) -> None:
        """Prepare for trials; called before the first one in a process."""
        ...

    def __call__(self, trial: Trial) -> Any:
        """Run one trial and return its result."""
        ...

    def teardown(self) -> None:
        """Free what `setup` took; called when the process runs no more trials.

        A process that is killed tears nothing down.
        """
        ...


class PreparedObjectives:
    """The objectives that are set up in this process."""

    def __init__(self) -> None:
        self._ready: dict[int, Objective] = {}

    def of(
        self, task: Task, opened: Callable[..., Any], *, devices: Sequence[str] = ()
    ) -> Callable[[Trial], Any]:
        """Return what runs a task: it sets its objective up, if it is the first one here."""

        def run(trial: Trial) -> Any:
            objective = objective_of(task, opened)
            self.set_up(objective, task, devices=devices)
            return objective(trial)

        return run

    def set_up(
        self, objective: Callable[..., Any], task: Task, *, devices: Sequence[str] = ()
    ) -> None:
        """Call the set-up of an objective that has one and is not ready yet."""
        inner = inspect.unwrap(objective)
        if id(inner) in self._ready or isinstance(inner, type) or not isinstance(inner, Objective):
            return
        inner.setup(WorkerInfo(task.study, socket.gethostname(), os.getpid(), tuple(devices)))
        self._ready[id(inner)] = inner

    def tear_down(self) -> None:
        """Call the tear-down of all that are ready; one that fails is logged."""
        ready, self._ready = self._ready, {}
        for objective in ready.values():
            try:
                objective.teardown()
            except Exception as error:
                log.warning("the teardown of the objective failed: %r", error)
