"""Names a worker process such that another one on the same host can see whether it lives."""

from __future__ import annotations

import os
import socket
from functools import cache
from uuid import uuid4

import psutil


@cache
def _own(pid: int) -> str:
    return f"{socket.gethostname()}/{pid}/{_birth(pid)}"


def _birth(pid: int) -> int:
    return round(psutil.Process(pid).create_time() * 100)


def worker_name() -> str:
    """Return a new worker name `host/pid/birth/token`, unique to its caller."""
    return f"{_own(os.getpid())}/{uuid4().hex[:8]}"


def is_known_dead(worker: str) -> bool:
    """Return whether a worker ran on this host and is gone; of other hosts nothing is known."""
    host, _, rest = worker.partition("/")
    pid, _, rest = rest.partition("/")
    birth = rest.partition("/")[0]
    if host != socket.gethostname() or not pid.isdigit() or not birth.isdigit():
        return False
    try:
        # A pid is given again after a while; the time of birth tells two processes apart.
        return abs(_birth(int(pid)) - int(birth)) > 100
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return False
