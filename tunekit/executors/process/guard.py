"""Kills what a worker has started: run as a script, once its driver is gone.

A killed driver cannot clean up, and processes started by its workers (data loaders, a training
command) would keep running. The guard holds the read end of a pipe; the kernel closes the other
end with the driver, however it dies.

A process group alone is not enough: a program may begin a session of its own, and its parent may
die. So all processes of a worker carry a mark in their environment, which children inherit.
"""

import contextlib
import os
import signal
import sys
import time

MARK = "TUNEKIT_WORKER_MARK"
PATIENCE_S = 10.0


def marked(mark: str) -> list[int]:
    """Return the processes whose environment has a mark, without this one; Linux only."""
    found = []
    for name in os.listdir("/proc") if os.path.isdir("/proc") else ():
        if name.isdigit() and int(name) != os.getpid():
            with contextlib.suppress(OSError), open(f"/proc/{name}/environ", "rb") as file:
                if _has(file.read(), mark):
                    found.append(int(name))
    return found


def _has(environment: bytes, mark: str) -> bool:
    prefix = f"{MARK}=".encode()
    values = [v for v in environment.split(b"\0") if v.startswith(prefix)]
    return any(mark.encode() in v[len(prefix) :].split(b",") for v in values)


def with_mark(mark: str) -> str:
    """Return the value of the mark for a child: ours, where we are somebody's child, and its."""
    return ",".join(filter(None, [os.environ.get(MARK), mark]))


def kill_marked(mark: str) -> None:
    """Kill all processes with a mark, until a look at all of them finds none.

    A process that forks while we look is found by the next look. A zombie has no environment.
    """
    until = time.monotonic() + PATIENCE_S
    while (found := marked(mark)) and time.monotonic() < until:
        for number in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(number, signal.SIGKILL)
        time.sleep(0.001)


def kill_group(number: int) -> None:
    """Kill a process group, if it is there."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(number, signal.SIGKILL)


def main() -> None:
    """Read `+pgid mark` and `-pgid` lines until the end, then kill what is left."""
    if os.fork():
        # Whoever kills the children of a dying driver, as Ray does, must not find the guard.
        os._exit(0)
    os.setsid()
    marks: dict[int, str] = {}
    for line in sys.stdin:
        number, _, mark = line[1:].strip().partition(" ")
        if line[0] == "+":
            marks[int(number)] = mark
        else:
            marks.pop(int(number), None)
    for group, mark in marks.items():
        kill_group(group)
        if mark:
            kill_marked(mark)


if __name__ == "__main__":
    main()
