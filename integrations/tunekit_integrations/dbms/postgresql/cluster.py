"""A private cluster: data in a scratch folder, and a server that is a child of this process."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

from tunekit_integrations.dbms.owned_process import (
    OwnedProcess,
    scratch_folder,
    unprivileged_user,
)
from tunekit_integrations.dbms.postgresql.auto_conf import with_settings
from tunekit_integrations.dbms.postgresql.programs import run_program
from tunekit_integrations.dbms.records import FailureKind, TargetFailure
from tunekit_integrations.dbms.waiting import wait_until

USER = "tunekit"
PORT = 5432  # of a socket in a folder of its own, so that no other server has it
START_S = 60.0
STOP_S = 30.0
LOOK_S = 0.005


class PrivateCluster:
    """A server that only its owner can reach, over a socket in its folder; a `Server`.

    Args:
        programs: folder of the programs of PostgreSQL.
        configuration: settings of its postgresql.conf besides those of initdb.
        data: folder of a server that is stopped, to copy; else a new cluster is made.

    Raises:
        TargetFailure: it cannot be made.
    """

    is_private = True
    may_restart = True

    def __init__(
        self,
        programs: Path,
        *,
        configuration: Mapping[str, str] | None = None,
        data: Path | None = None,
    ) -> None:
        self.programs = programs
        self.user = unprivileged_user("postgres")
        self._process: OwnedProcess | None = None
        self.folder = scratch_folder("postgresql", user=self.user).resolve()
        self.data_folder = self.folder / "data"
        try:
            self._copy(data) if data else self._initialise(configuration or {})
        except BaseException:
            self.close()
            raise

    @property
    def url(self) -> str:
        """Where clients find it; the folder lets nobody else in."""
        return f"postgresql://{USER}@/postgres?host={self.folder}&port={PORT}"

    @property
    def pid(self) -> int | None:
        """The process id of the postmaster, `None` where it does not run."""
        return self._process.pid if self._process and not self._process.has_ended() else None

    def start(self) -> float:
        """Start the server and return the seconds until it accepted connections.

        Raises:
            TargetFailure: it did not start.
        """
        started = time.perf_counter()
        if self.pid is None:
            self._spawn()
        if not wait_until(self._is_ready_or_gone, within_s=START_S, every_s=LOOK_S):
            self.kill()
            raise self._no_start(f"the server did not start within {START_S:g} s")
        if self.pid is None:
            raise self._no_start("the server does not start with this configuration")
        return time.perf_counter() - started

    def _is_ready_or_gone(self) -> bool:
        return self._is_ready() or self.pid is None

    def stop(self) -> None:
        """Stop it cleanly: sessions are ended and a checkpoint is made; kill it if that hangs."""
        self._end(signal.SIGINT)

    def restart(self) -> None:
        """Stop it cleanly, if it runs, and start it.

        Raises:
            TargetFailure: it did not start.
        """
        self.stop()
        self.start()

    def kill(self) -> None:
        """Kill the server with all its processes, as a crash would."""
        self._end(signal.SIGKILL)

    def log_tail(self) -> str:
        """Return the last lines of the log since the last start."""
        return self._process.log_excerpt() if self._process else ""

    def close(self) -> None:
        """End the server, and delete its folder."""
        self._end(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _initialise(self, configuration: Mapping[str, str]) -> None:
        run_program(
            [
                self.programs / "initdb", "--pgdata", self.data_folder, "--username", USER,
                "--auth", "trust", "--encoding", "UTF8", "--no-locale", "--no-sync",
            ],
            self.user,
            timeout_s=120,
        )  # fmt: skip
        file = self.data_folder / "postgresql.conf"
        file.write_text(
            with_settings(file.read_text(encoding="utf-8"), dict(configuration)), encoding="utf-8"
        )

    def _copy(self, data: Path) -> None:
        run_program(
            ["/bin/cp", "--archive", "--reflink=auto", data, self.data_folder],
            self.user,
            timeout_s=3600,
        )
        for file in ("postmaster.pid", "postmaster.opts"):
            (self.data_folder / file).unlink(missing_ok=True)

    def _spawn(self) -> None:
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.folder),
            "unix_socket_permissions": "0700",
            "port": str(PORT),
        }
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        self._process = OwnedProcess(
            [self.programs / "postgres", "-D", self.data_folder, *arguments],
            log=self.folder / "server.log",
            user=self.user,
            environment={"LC_ALL": "C"},
        )

    def _is_ready(self) -> bool:
        try:
            lines = (self.data_folder / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return (
            len(lines) >= 8
            and lines[0].strip() == str(self.pid)
            and lines[7].strip() in ("ready", "standby")
        )

    def _end(self, number: signal.Signals) -> None:
        """End the server by a signal, and wait for all of its processes.

        As long as one of them lives, its shared memory is in use, and no other server starts.
        """
        if self._process is None:
            return
        children = self._process.children()
        self._process.stop(number, timeout_s=STOP_S)
        wait_until(lambda: not any(map(_is_alive, children)), within_s=STOP_S, every_s=LOOK_S)

    def _no_start(self, what: str) -> TargetFailure:
        log = self.log_tail()
        is_memory = "could not map anonymous shared memory" in log or "Cannot allocate" in log
        kind = FailureKind.OUT_OF_MEMORY if is_memory else FailureKind.NO_START
        return TargetFailure(kind, f"{what}; its log says why.", log=log)


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)  # init may be slow to take those
    except psutil.NoSuchProcess:
        return False
