"""Runs the set-up and tear-down of objectives once per process."""

from __future__ import annotations

import inspect
import logging
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeGuard, runtime_checkable

from tunekit.executors.base import Task
from tunekit.executors.objective import objective_of
from tunekit.executors.trial import Trial

log = logging.getLogger("tunekit")


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """The process in which an objective is set up.

    Attributes:
        study: name of the study whose trials it runs.
        host: name of the machine.
        pid: id of the process.
        devices: accelerators of its first trial; `trial.devices` holds those of each trial.
    """

    study: str
    host: str
    pid: int
    devices: tuple[str, ...] = ()


@runtime_checkable
class Objective(Protocol):
    """An objective prepared once per process, for example to load data or open a pool.

    Any object with these three methods qualifies; a plain function needs none of them. An
    exception in `setup` fails the trial it was called for, and the next trial retries.
    """

    def setup(self, worker: WorkerInfo) -> None:
        """Prepare for trials; called before the first one in a process."""
        ...

    def __call__(self, trial: Trial) -> Any:
        """Run one trial and return its result."""
        ...

    def teardown(self) -> None:
        """Release the resources of `setup`; called when the process runs no more trials.

        A killed process tears nothing down.
        """
        ...


class PreparedObjectives:
    """Keeps track of the objectives set up in this process."""

    def __init__(self) -> None:
        self._ready: dict[int, Objective] = {}

    def of(
        self, task: Task, opened: Callable[..., Any], *, devices: Sequence[str] = ()
    ) -> Callable[[Trial], Any]:
        """Return a function that runs a task, setting its objective up first if needed."""

        def run(trial: Trial) -> Any:
            objective = objective_of(task, opened)
            self.set_up(objective, task, devices=devices)
            return objective(trial)

        return run

    def set_up(
        self, objective: Callable[..., Any], task: Task, *, devices: Sequence[str] = ()
    ) -> None:
        """Call an objective's set-up, if it has one and is not ready yet."""
        inner = inspect.unwrap(objective)
        if id(inner) in self._ready or not _is_prepared(inner):
            return
        inner.setup(WorkerInfo(task.study, socket.gethostname(), os.getpid(), tuple(devices)))
        self._ready[id(inner)] = inner

    def tear_down(self) -> None:
        """Call the tear-down of all ready objectives, logging failures."""
        ready, self._ready = self._ready, {}
        for objective in ready.values():
            try:
                objective.teardown()
            except Exception as error:
                log.warning("the teardown of the objective failed: %r", error)


def _is_prepared(objective: object) -> TypeGuard[Objective]:
    # As `isinstance` would, which takes longer than all else around a short trial.
    methods = (getattr(objective, name, None) for name in ("setup", "teardown"))
    return all(map(callable, methods)) and not isinstance(objective, type)
