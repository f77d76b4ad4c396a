"""Chooses the executor of a run: by name, or the simplest one that enforces the limits."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index

from tunekit import registry
from tunekit.checks import check_whole, shown
from tunekit.errors import InvalidArgument
from tunekit.executors.base import Executor, Limits
from tunekit.executors.devices import MAX_WORKERS


def make_executor(
    executor: str | Executor | None,
    workers: int | None,
    limits: Limits,
    devices: Sequence[str | int] | None,
) -> Executor:
    """Return the named executor, or the simplest one that enforces the limits.

    Other distributions add names by entry points in the group `tunekit.executors`.

    Raises:
        InvalidArgument: the name is unknown, the executor cannot enforce the limits, or limits are
            given for an executor instance that has its own.
    """
    wanted = 1 if workers is None else workers
    check_whole(wanted, "workers", low=1, high=MAX_WORKERS)
    if devices is not None:
        try:
            devices = [d if isinstance(d, str) else index(d) for d in devices]
        except Exception:  # whatever their classes raise
            raise InvalidArgument(
                f"devices={shown(devices)}, expected a list of devices, such as [0, 1]."
            ) from None
    if executor is not None and not isinstance(executor, str):
        return _given_executor(executor, wanted, limits, devices)
    needs_process = wanted > 1 or limits != Limits() or devices is not None
    name = executor or ("process" if needs_process else "inline")
    made: Executor = registry.find("executor", name)(workers, limits, devices)
    return made


def make_inline(
    workers: int | None, limits: Limits, devices: Sequence[str | int] | None
) -> Executor:
    """Return the executor that runs trials in the calling thread."""
    from tunekit.executors.inline import InlineExecutor

    if workers is not None and workers > 1:
        raise InvalidArgument(
            f'the inline executor runs one trial at a time, not {workers}; use executor="process".'
        )
    if devices is not None:
        raise InvalidArgument(
            f"devices={shown(devices)} was given to the inline executor, which runs trials in "
            "your "
            'own process and deals no devices; use executor="process".'
        )
    return InlineExecutor(limits)


def make_process(
    workers: int | None, limits: Limits, devices: Sequence[str | int] | None
) -> Executor:
    """Return the executor that runs trials in processes on this machine."""
    from tunekit.executors.process.executor import ProcessExecutor

    return ProcessExecutor(workers or 1, limits=limits, devices=devices)


def make_ray(workers: int | None, limits: Limits, devices: Sequence[str | int] | None) -> Executor:
    """Return the executor that runs trials on a Ray cluster."""
    from tunekit.executors.ray.executor import RayExecutor

    if devices is not None:
        raise InvalidArgument(
            f"devices={shown(devices)} was given to the Ray executor, whose cluster deals its "
            "own; "
            'say how many a trial needs, resources={"gpu": 1}.'
        )
    return RayExecutor(workers, limits=limits)


def _given_executor(
    executor: Executor, workers: int, limits: Limits, devices: Sequence[str | int] | None
) -> Executor:
    """Return an executor instance, which was created with its own limits."""
    methods = ("open", "start", "poll", "stop", "close")
    if isinstance(executor, type) or not all(
        callable(getattr(executor, name, None)) for name in methods
    ):
        raise InvalidArgument(
            f'executor={shown(executor)}, expected "inline", "process", "ray" or an instance of '
            "the "
            f"Executor contract, which has {', '.join(methods)}."
        )
    given = {
        "workers": workers > 1,
        "resources": bool(limits.resources),
        "trial_timeout_s": limits.timeout_s is not None,
        "memory_mib": limits.memory_mib is not None,
        "devices": devices is not None,
    }
    beside = [name for name, is_given in given.items() if is_given]
    if beside:
        raise InvalidArgument(
            f"{', '.join(beside)} given beside an executor that is made already and would ignore "
            f"it; give it to the {type(executor).__name__} itself when you make it."
        )
    return executor
