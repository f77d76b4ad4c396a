"""Runs a database server as a child process that neither outlives us nor runs as root."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from tunekit_integrations.dbms.records import FailureKind, TargetFailure

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None  # loaded before any fork

# The signal of death comes when the *thread* ends that started a child, so that all are started
# by one that lives as long as this process.
_STARTER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tunekit-servers")

LOG_LINES = 20


class OwnedProcess:
    """A server that is our child, so that its end is seen at once and it ends with us.

    Args:
        command: of the server itself, which stays in the foreground.
        log: file for its output, appended to.
        user: who runs it, `None` for this process's own.
        environment: variables besides those of this process.

    Raises:
        TargetFailure: the program cannot be run.
    """

    def __init__(
        self,
        command: Sequence[str | os.PathLike[str]],
        *,
        log: Path,
        user: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._log = log
        account = pwd.getpwnam(user) if user else None
        self._log_start = log.stat().st_size if log.exists() else 0

        def start() -> subprocess.Popen[bytes]:
            with log.open("ab") as output:
                return subprocess.Popen(  # noqa: S603 - our own arguments, no shell
                    [os.fspath(part) for part in command],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd="/",
                    user=account.pw_uid if account else None,
                    group=account.pw_gid if account else None,
                    extra_groups=[] if account else None,
                    env={**os.environ, **(environment or {})},
                    start_new_session=True,  # Ctrl-C is ours to handle
                    preexec_fn=_die_with_parent,
                )

        try:
            self._child = _STARTER.submit(start).result()
        except OSError as error:
            raise TargetFailure(
                FailureKind.NO_START, f"{os.fspath(command[0])} cannot be run: {error}."
            ) from error

    @property
    def pid(self) -> int:
        """The process id of the server."""
        return self._child.pid

    def has_ended(self) -> bool:
        """Return whether the server is gone; no zombie stays behind."""
        return self._child.poll() is not None

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if the server is there."""
        if not self.has_ended():
            with contextlib.suppress(ProcessLookupError):
                self._child.send_signal(number)

    def stop(self, number: signal.Signals, *, timeout_s: float) -> None:
        """Ask the server to stop, and kill it and its children when it does not in time."""
        children = self.children()
        self.send(signal.SIGCONT)  # a frozen one takes no other signal
        self.send(number)
        try:
            self._child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
        for child in children:
            with contextlib.suppress(psutil.Error):
                child.kill()

    def kill(self) -> None:
        """End the server at once, as a crash does."""
        self.send(signal.SIGKILL)
        self._child.wait()

    def log_excerpt(self) -> str:
        """Return the last lines that this run of the server wrote."""
        with contextlib.suppress(OSError), self._log.open("rb") as file:
            file.seek(self._log_start)
            text = file.read()[-20_000:].decode(errors="replace")
            return "\n".join(text.splitlines()[-LOG_LINES:])
        return ""

    def children(self) -> list[psutil.Process]:
        """Return the processes that the server has started, and theirs."""
        with contextlib.suppress(psutil.Error):
            return psutil.Process(self.pid).children(recursive=True)
        return []


def _die_with_parent() -> None:
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def unprivileged_user(*names: str) -> str | None:
    """Return the first user that exists, to run a server as; `None` unless we are root."""
    if os.getuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in (*names, "nobody") if name in known), None)


def scratch_folder(system: str, *, user: str | None) -> Path:
    """Return a new folder that a user may enter, and delete those of processes that are gone."""
    _delete_abandoned(system)
    folder = Path(tempfile.mkdtemp(prefix=f"tunekit-{system}-{os.getpid()}-"))
    if user:
        shutil.chown(folder, user, pwd.getpwnam(user).pw_gid)
    return folder


def _delete_abandoned(system: str) -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"tunekit-{system}-*-*"):
        pid = folder.name.split("-")[2]
        if pid.isdecimal() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)  # another user's stays
