"""Names worker processes so that others on the same machine can tell whether they are alive.

A name is `host/kernel/pid/start/token`. `kernel` is the boot and the PID namespace in which the
pid is valid: two containers may share a hostname and pids, and a restarted machine reuses pids.
`start` is counted from the boot, so that clock changes do not affect it. Observers elsewhere, or
without access to the process, cannot tell.
"""

from __future__ import annotations

import os
import socket
import sys
from functools import cache
from pathlib import Path

from tunekit.identifiers import new_id

PROC = Path("/proc")


def worker_name() -> str:
    """Return a new unique worker name of at most 150 characters."""
    return f"{_process_name(os.getpid())}/{new_id(4)}"


def is_known_dead(worker: str) -> bool:
    """Return whether a worker ran where this process can see it and is gone."""
    return _is_alive(worker) is False


def is_known_alive(worker: str) -> bool:
    """Return whether a worker runs where this process can see it."""
    return _is_alive(worker) is True


def _is_alive(worker: str) -> bool | None:
    """Return whether a worker is alive, `None` if this process cannot tell.

    It cannot tell for workers on another host, in another PID namespace, from before a restart,
    or without permission to inspect them.
    """
    host, kernel, pid, start = [*worker.split("/"), "", "", "", ""][:4]
    if (host, kernel) != (socket.gethostname(), _kernel()) or not pid.isdigit():
        return None
    try:
        os.kill(int(pid), 0)  # asks the kernel: /proc may hide the processes of other users
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    now = _start(int(pid))
    # The kernel gives a pid again after a while; the start tells the two processes apart.
    return None if now is None else now == start


@cache
def _process_name(pid: int) -> str:
    return f"{socket.gethostname()}/{_kernel()}/{pid}/{_start(pid) or '0'}"


@cache
def _kernel() -> str:
    """Return the scope of this process's pids: the boot and the PID namespace."""
    if not sys.platform.startswith("linux"):
        return sys.platform
    boot = _read(PROC / "sys/kernel/random/boot_id")[:8]
    try:
        namespace = os.readlink(PROC / "self/ns/pid").strip("pid:[]")
    except OSError:
        namespace = "unknown"
    return f"{boot}-{namespace}"


def _start(pid: int) -> str | None:
    """Return the start time of a process, in units that depend on the system.

    `None` if it cannot be read, and "ended" for a zombie process.
    """
    if not sys.platform.startswith("linux"):
        return _start_by_clock(pid)
    if os.readlink(PROC / "self") != str(os.getpid()):
        return (
            None  # /proc shows another PID namespace, in which the pid belongs to another process
        )
    # The name in the second field may hold spaces and brackets; the state follows it.
    fields = _read(PROC / str(pid) / "stat").rpartition(")")[2].split()
    if len(fields) < 20:
        return None
    return "ended" if fields[0] in "ZX" else fields[19]  # field 22: clock ticks since the boot


def _start_by_clock(pid: int) -> str | None:
    import psutil  # Linux tells the start of a process itself

    try:
        return str(int(psutil.Process(pid).create_time()))
    except psutil.Error:
        return None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
