"""What this machine lets a server use: memory, processors, disk."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import psutil

from tunekit_integrations.dbms.records import Machine

_CONTROL_GROUPS = Path("/sys/fs/cgroup")


def this_machine(folder: Path, *, ram_bytes: int | None = None) -> Machine:
    """Return what a server here may use.

    Args:
        folder: where its data lie.
        ram_bytes: the user's cap.
    """
    limits = [psutil.virtual_memory().total, *_group_limits(), *([ram_bytes] if ram_bytes else [])]
    return Machine(min(limits), _cpus(), shutil.disk_usage(folder).free)


def _group_limits() -> list[int]:
    """Return the memory limits of the control group, of version 2 and 1."""
    found = []
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            text = (_CONTROL_GROUPS / name).read_text().strip()
        except OSError:
            continue
        if text.isdigit():
            found.append(int(text))
    return found


def _cpus() -> int:
    """Return the processors that this process may run on, within the group's quota."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        quota, period = (_CONTROL_GROUPS / "cpu.max").read_text().split()
        return max(1, min(allowed or 1, -(-int(quota) // int(period))))
    except (OSError, ValueError):  # no group, or "max"
        return allowed or 1
