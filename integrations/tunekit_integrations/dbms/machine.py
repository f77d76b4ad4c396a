"""What a server may use of its machine: memory, processors, disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import psutil

from tunekit_integrations.dbms.records import Machine

CGROUPS = Path("/sys/fs/cgroup")


def this_machine(
    folder: Path,
    *,
    pid: int | None = None,
    ram_bytes: int | None = None,
    cpus: int | None = None,
) -> Machine:
    """Return what a server on this machine may use.

    Args:
        folder: of the server's data, whose disk counts.
        pid: of the server, whose limits count; else those of this process.
        ram_bytes: a smaller budget of the user's.
        cpus: a smaller number of the user's.
    """
    where = _control_groups(pid)
    rams = [psutil.virtual_memory().total, *_memory_limits(where)]
    shares = [_allowed(pid), *_cpu_limits(where)]
    return Machine(
        ram_bytes=int(min([*rams, *([ram_bytes] if ram_bytes else [])])),
        cpus=max(1, int(min([*shares, *([float(cpus)] if cpus else [])]))),
        disk_bytes=shutil.disk_usage(folder).free,
    )


def _allowed(pid: int | None) -> float:
    if not hasattr(os, "sched_getaffinity"):  # not on Linux
        return float(os.cpu_count() or 1)
    return float(len(os.sched_getaffinity(pid or 0)))


def _control_groups(pid: int | None) -> dict[str, list[Path]]:
    """Return controller ("" for version 2) -> folders of the group and of all above it."""
    try:
        lines = Path(f"/proc/{pid or 'self'}/cgroup").read_text().splitlines()
    except OSError:
        return {}
    found: dict[str, list[Path]] = {}
    for line in lines:
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            root = CGROUPS / controller
            own = root / path.lstrip("/")
            # In a container the path is that of the host, and the limits lie at the root.
            found[controller] = [own, *(p for p in own.parents if p.is_relative_to(root))]
    return found


def _memory_limits(groups: dict[str, list[Path]]) -> Iterator[int]:
    for controller, file in (("", "memory.max"), ("memory", "memory.limit_in_bytes")):
        for folder in groups.get(controller, ()):
            text = _read(folder / file)
            if text.isdecimal():  # "max" means no limit
                yield int(text)


def _cpu_limits(groups: dict[str, list[Path]]) -> Iterator[float]:
    for folder in groups.get("", ()):
        quota, _, period = _read(folder / "cpu.max").partition(" ")
        if quota.isdecimal():
            yield int(quota) / int(period)
    for folder in groups.get("cpu", ()):
        quota = _read(folder / "cpu.cfs_quota_us")
        if quota.isdecimal():  # -1 means no limit
            yield int(quota) / int(_read(folder / "cpu.cfs_period_us"))


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""
