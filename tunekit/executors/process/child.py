"""The driver's handle of a worker process."""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
import pickle
import select
import signal
import socket
import subprocess
import sys
import termios
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any, Literal

import psutil

from tunekit.executors.base import Task
from tunekit.executors.process.guard import MARK, kill_group, kill_marked, with_mark
from tunekit.executors.process.messages import Messages
from tunekit.executors.process.spawn import started
from tunekit.identifiers import new_id

TAIL_BYTES = 8 * 1024
SETTLE_S = 2.0
KILL_S = 10.0


def readable(
    descriptors: Iterable[int], timeout_s: float, *, writable: Iterable[int] = ()
) -> list[int]:
    """Return the descriptors that are readable or closed, after at most `timeout_s`.

    The wait also ends, with whatever is readable, when one of `writable` has room.

    Every report waits on this several times, so it avoids `multiprocessing.connection.wait`,
    which takes five times as long.
    """
    poll = select.poll()
    wanted = dict.fromkeys(descriptors, select.POLLIN)
    wanted |= {d: wanted.get(d, 0) | select.POLLOUT for d in writable}
    for descriptor, events in wanted.items():
        poll.register(descriptor, events)
    timeout_ms = None if timeout_s == math.inf else math.ceil(timeout_s * 1000)
    return [d for d, events in poll.poll(timeout_ms) if events != select.POLLOUT]


class Child:
    """One worker process, in its own session so that Ctrl-C reaches only the driver.

    Args:
        env: what its environment has beside the driver's.
        guard: is told of its process group.

    Attributes:
        phase: `"starting"` until it has the objective, then `"idle"` or `"running"`.
        task: what it runs, or will run once it has started.
        deadline: `time.monotonic()` by which it has to be done.
        descriptors: those that become readable when it speaks or dies.
    """

    def __init__(self, env: Mapping[str, str], guard: Guard) -> None:
        self._mark = new_id()
        self._process, end = started(
            "tunekit.executors.process.worker",
            output=subprocess.PIPE,
            env={**env, MARK: with_mark(self._mark)},
        )
        self.connection = Messages(end)
        self._guard = guard
        guard.watch(self._process.pid, self._mark)
        assert self._process.stdout is not None
        self._output = _Output(self._process.stdout)
        # A fork of the worker may hold its end of the connection open: only a pidfd tells then.
        self._pidfd = os.pidfd_open(self._process.pid) if hasattr(os, "pidfd_open") else None
        self.phase: Literal["starting", "idle", "running"] = "starting"
        self.task: Task | None = None
        self.deadline = float("inf")

    @property
    def descriptors(self) -> list[int]:
        """Return the file descriptors to wait for."""
        return [d for d in (self.connection.fileno(), self._pidfd) if d is not None]

    def run(self, task: Task, devices: tuple[str, ...], timeout_s: float | None) -> None:
        """Hand over a task.

        Raises:
            OSError: the process is gone.
        """
        self.phase, self.task = "running", task
        self._output.forget()
        self.deadline = float("inf") if timeout_s is None else time.monotonic() + timeout_s
        self.send(("task", task, devices))

    def send(self, message: object) -> None:
        """Send a message.

        Raises:
            OSError: the process is gone.
        """
        self.connection.send(pickle.dumps(message, pickle.HIGHEST_PROTOCOL))

    def rest(self) -> None:
        """Mark its task as over, and drop the task's output."""
        self._output.settle()
        self.phase, self.task, self.deadline = "idle", None, float("inf")

    def messages(self) -> list[tuple[Any, ...]] | None:
        """Return the messages that have arrived; `None` once the process is gone.

        It waits for none, also not for the rest of one that has begun.
        """
        has_died = self.has_died()  # before the look: what it said last is there by then
        found, is_there = self.connection.receive()
        try:
            messages = [pickle.loads(data) for data in found]  # noqa: S301 - our own child
        except Exception:  # not ours: an objective may write to any descriptor
            return None
        return messages or (None if has_died or not is_there else [])

    def memory_mib(self) -> float:
        """Return the resident memory of the process and its descendants."""
        total = 0
        for process in self._family():
            with contextlib.suppress(psutil.Error):
                total += process.memory_info().rss
        return total / 2**20

    def last_words(self) -> tuple[str, str, bool]:
        """End it, if it still lives; return how it died, its last output, if it was killed."""
        self.wait(SETTLE_S)
        is_ours = not self.has_died()
        self.kill()
        status = self._process.returncode
        was_killed = not is_ours and -status in (signal.SIGKILL, signal.SIGTERM)
        return _death(status, is_ours), self.output_tail(), was_killed

    def output_tail(self) -> str:
        """Return the end of its task's output."""
        return self._output.tail()

    def dismiss(self) -> None:
        """Tell an idle process that no more tasks will come, so that it tears down and exits."""
        with (
            contextlib.suppress(OSError),
            socket.socket(fileno=os.dup(self.connection.fileno())) as end,
        ):
            end.shutdown(socket.SHUT_WR)

    def wait(self, timeout_s: float) -> None:
        """Wait until the process has ended or the time is over."""
        if self._pidfd is not None:
            readable([self._pidfd], timeout_s)
        else:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout_s)

    def kill(self) -> None:
        """End the process and its descendants, and free its resources."""
        family = self._family()
        # The group first: the unreaped leader keeps its number from being used again.
        kill_group(self._process.pid)
        for process in family:  # those in a session of their own
            with contextlib.suppress(psutil.Error):
                process.kill()
        kill_marked(self._mark)  # those that were forked meanwhile, or whose parent is gone
        # Bounded: one that hangs in a driver or a network file system dies only when that answers.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(KILL_S)
        self._guard.forget(self._process.pid)
        self._output.close()
        self.connection.close()
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None

    def has_died(self) -> bool:
        """Return whether the process has ended, reaped or not."""
        if self._pidfd is None:
            return self._process.poll() is not None
        return bool(readable([self._pidfd], 0))

    def _family(self) -> list[psutil.Process]:
        try:
            process = psutil.Process(self._process.pid)
            return [process, *process.children(recursive=True)]
        except psutil.Error:
            return []


class Guard:
    """The driver's end of `guard`, started with the first worker."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def watch(self, group: int, mark: str = "") -> None:
        """Have a process group, and all processes with a mark, killed when this process dies."""
        if self._process is None:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter
                [sys.executable, "-I", "-S", str(Path(__file__).with_name("guard.py"))],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            self._process.wait()  # it has forked, and the fork is the guard: no child of ours
        self._tell(f"+{group} {mark}\n")

    def forget(self, group: int) -> None:
        """Undo `watch`, because the group is gone and its number may be reused."""
        self._tell(f"-{group}\n")

    def close(self) -> None:
        """End the guard."""
        if self._process is not None:
            self._process.communicate()
            self._process = None

    def _tell(self, line: str) -> None:
        assert self._process is not None and self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # somebody killed it; trials go on
            self._process.stdin.write(line.encode())
            self._process.stdin.flush()


class _Output:
    """Forwards the output of a process to our stderr and keeps its end."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._n_read = self._n_forwarded = 0
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._drain, name="tunekit-output", daemon=True)
        self._thread.start()

    def forget(self) -> None:
        """Start over with the output of another trial."""
        with self._changed:
            self._chunks.clear()
            self._size = 0

    def tail(self) -> str:
        """Return the last lines."""
        self.settle()
        with self._changed:
            kept = b"".join(self._chunks)[-TAIL_BYTES:]
        return kept.decode(errors="replace").strip()

    def settle(self) -> None:
        """Wait until everything currently in the pipe has been read and forwarded."""
        with self._changed:
            goal = self._n_read + self._n_waiting()
            self._changed.wait_for(lambda: self._n_forwarded >= goal, SETTLE_S)

    def close(self) -> None:
        """Read the rest and stop; a process that escaped may hold the pipe open."""
        self._thread.join(SETTLE_S)

    def _n_waiting(self) -> int:
        if self._pipe.closed:
            return 0
        told = fcntl.ioctl(self._pipe.fileno(), termios.FIONREAD, bytes(4))
        return int.from_bytes(told, sys.byteorder)

    def _drain(self) -> None:
        with self._pipe:
            while chunk := self._take():
                with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, or none
                    sys.stderr.write(chunk.decode(errors="replace"))
                    sys.stderr.flush()
                with self._changed:
                    self._n_forwarded += len(chunk)
                    self._changed.notify_all()

    def _take(self) -> bytes:
        readable([self._pipe.fileno()], math.inf)
        with self._changed:  # what has left the pipe is counted before anybody asks
            chunk = os.read(self._pipe.fileno(), 1 << 16)
            self._n_read += len(chunk)
            self._chunks.append(chunk)
            self._size += len(chunk)
            while self._size - len(self._chunks[0]) >= TAIL_BYTES:
                self._size -= len(self._chunks.popleft())
        return chunk


def _death(status: int, is_ours: bool) -> str:
    if is_ours:
        return "worker process lost the connection to its driver"
    if status >= 0:
        return f"worker process exited with status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    hint = " (the system may have run out of memory)" if -status == signal.SIGKILL else ""
    return f"worker process died with {name}{hint}"
