"""What the benchmark measures with: processor time of client and server, one process a cell.

A *cell* is one number of a table: one library doing one thing on one database. Each runs in a
fresh process, so that no cell profits from another's imports or pays for its memory.

Processor time is user plus system time. The client's is that of its process and its children.
The server's is read from outside: the postmaster's own time, the time of all backends that have
exited (the kernel adds a child's time to its parent's "children" account when the parent waits
for it) and the time of all its living children. A reading is repeated until the set of children
is the same before and after, so that no backend is missed or counted twice while it exits.
The kernel counts in steps of 10 ms; a difference over a whole cell is far above that.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil

CELLS = Path(__file__).with_name("cells.py")


def client_cpu_s() -> float:
    """Return the processor seconds of this process and of its children that have ended."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def server_cpu_s(postmaster: int | None) -> float:
    """Return the processor seconds that a PostgreSQL server has used so far; 0 without one."""
    if postmaster is None:
        return 0.0
    process = psutil.Process(postmaster)
    while True:
        children = {c.pid: c for c in process.children()}
        try:
            total = sum(process.cpu_times()[:4])
            for child in children.values():
                total += sum(child.cpu_times()[:2])
        except psutil.NoSuchProcess:
            continue
        if set(children) == {c.pid for c in process.children()}:
            return float(total)


def rss_mib() -> float:
    """Return the resident memory of this process in MiB."""
    return float(psutil.Process().memory_info().rss) / 2**20


def run_cell(scenario: str, library: str, url: str, **options: Any) -> dict[str, Any]:
    """Run one cell in its own process and return what it measured.

    Raises:
        RuntimeError: the cell failed; with what it wrote.
    """
    request = {"scenario": scenario, "library": library, "url": url, **options}
    command = [sys.executable, str(CELLS), json.dumps(request)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"the cell {request} failed:\n{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def command_cpu_s(command: list[str], *, repeats: int) -> float:
    """Return the least processor seconds that a command took in several runs."""
    best = float("inf")
    for _ in range(repeats):
        before = client_cpu_s()
        subprocess.run(command, check=True, capture_output=True)
        best = min(best, client_cpu_s() - before)
    return best
