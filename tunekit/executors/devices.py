"""Assigns resources to seats: how many trials fit on this machine, and their devices."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tunekit.checks import is_number
from tunekit.errors import InvalidArgument, did_you_mean

MAX_WORKERS = 1_000_000
RESOURCES = ("cpu", "gpu")
# Not ROCR_VISIBLE_DEVICES: HIP numbers the devices that ROCR leaves, so both hide too much.
_VISIBLE = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ASCEND_RT_VISIBLE_DEVICES")
_THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


@dataclass(frozen=True, slots=True)
class Seat:
    """A slot for one trial at a time: its accelerators and the variables that expose them."""

    devices: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)


def make_seats(
    workers: int, resources: Mapping[str, float], devices: Sequence[str | int] | None = None
) -> list[Seat]:
    """Return the seats for `workers` workers, fewer if the machine has no room for more.

    Args:
        workers: how many trials at a time are wanted.
        resources: of one trial. `gpu`: a whole number of devices, or a fraction (0.5) of one
            that trials share; `cpu`: cores, which bound the threads of numeric libraries.
        devices: what `gpu` is dealt from; else `TUNEKIT_DEVICES`, `CUDA_VISIBLE_DEVICES` or the
            list of `nvidia-smi`. With devices and no `gpu`, a trial gets one.

    Raises:
        InvalidArgument: an unknown resource, an amount outside its range, a device listed
            twice, or not even one trial fits.
    """
    for name, amount in resources.items():
        if name not in RESOURCES:
            raise InvalidArgument(
                f'unknown resource "{name}"{did_you_mean(str(name), RESOURCES)}; this executor '
                f"knows {' and '.join(RESOURCES)}."
            )
        if not is_number(amount) or not math.isfinite(amount) or amount <= 0:
            raise InvalidArgument(f"resource {name}={amount!r}, expected a number above 0.")
    env: dict[str, str] = {}
    if "cpu" in resources:
        workers = min(workers, _cpu_seats(resources["cpu"]))
        env = thread_limits(resources["cpu"])
    gpu = resources.get("gpu", 1.0 if devices is not None else 0.0)
    if not gpu:
        return [Seat(env=env)] * workers
    groups = _deal(gpu, _listed(devices))[:workers]
    return [Seat(g, {**env, **dict.fromkeys(_VISIBLE, ",".join(g))}) for g in groups]


def thread_limits(cpu: float) -> dict[str, str]:
    """Return the variables that limit numeric libraries to `cpu` cores."""
    return dict.fromkeys(_THREADS, str(max(1, int(cpu))))


def _cpu_seats(cpu: float) -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else (os.cpu_count() or 1)
    seats = int(cores / cpu + 1e-9)
    if seats < 1:
        raise InvalidArgument(
            f"a trial needs {cpu:g} cpu, but this machine has {cores}; ask for less."
        )
    return seats


def _deal(gpu: float, devices: list[str]) -> list[tuple[str, ...]]:
    """Return the devices of each seat; the first seats share as little as possible."""
    if gpu > 1 and gpu != int(gpu):
        raise InvalidArgument(
            f"resource gpu={gpu:g}, expected a whole number, or a fraction below 1 of one device."
        )
    if gpu < 1:
        groups: list[tuple[str, ...]] = [(d,) for _ in range(int(1 / gpu + 1e-9)) for d in devices]
    else:
        n = int(gpu)
        groups = [tuple(devices[i : i + n]) for i in range(0, len(devices) - n + 1, n)]
    if not groups:
        raise InvalidArgument(
            f"a trial needs {gpu:g} gpu, but the configured devices are {devices}; ask for less, "
            "or name devices (devices=[0, 1] or TUNEKIT_DEVICES=0,1)."
        )
    return groups


def _listed(devices: Sequence[str | int] | None) -> list[str]:
    if isinstance(devices, str):
        devices = devices.split(",")
    if devices is None:
        devices = _found()
    names = [str(d).strip() for d in devices]
    names = [d for d in names if d not in ("", "-1")]  # -1: CUDA's word for none
    if len(set(names)) != len(names):
        raise InvalidArgument(f"devices {names} contain one twice; list each once.")
    return names


def _found() -> list[str]:
    for variable in ("TUNEKIT_DEVICES", "CUDA_VISIBLE_DEVICES"):
        if variable in os.environ:
            return os.environ[variable].split(",")
    import shutil
    import subprocess

    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    try:
        listed = subprocess.run(  # noqa: S603 - a fixed command
            [tool, "-L"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    gpus = [line for line in listed.stdout.splitlines() if line.startswith("GPU ")]
    return [str(i) for i in range(len(gpus))]
