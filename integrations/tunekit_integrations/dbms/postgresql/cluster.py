"""A private cluster: data in a scratch folder, and a server that is a child of this process."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from tunekit_integrations.dbms.postgresql.auto_conf import with_settings
from tunekit_integrations.dbms.postgresql.programs import as_user, run_program, server_user
from tunekit_integrations.dbms.records import FailureKind, TargetFailure

USER = "tunekit"
PORT = 5432  # of a socket in a folder of its own, so that no other server has it
START_S = 60.0
STOP_S = 30.0
LOOK_S = 0.005
LOG_LINES = 25

# Ends the server and deletes its folder once this process has gone, however that happened: it
# waits for the end of a pipe. The working directory tells the server from others with its number.
_WHEN_ORPHANED = """
read -r _
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
is_it() { [ -n "$pid" ] && [ "$(readlink "/proc/$pid/cwd")" = "$1/data" ]; }
if is_it "$1"; then kill -CONT "$pid"; kill -QUIT "$pid"; fi
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do is_it "$1" && sleep 0.2; done
if is_it "$1"; then kill -KILL "$pid"; fi
rm -rf -- "$1"
"""


class PrivateCluster:
    """A server that only its owner can reach, over a socket in its folder; a `Server`.

    Args:
        programs: folder of the programs of PostgreSQL.
        folder: where its folder is made; the system's for temporary files if `None`.
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
        folder: Path | None = None,
        configuration: Mapping[str, str] | None = None,
        data: Path | None = None,
    ) -> None:
        self.programs = programs
        self.user = server_user()
        self._process: subprocess.Popen[bytes] | None = None
        self._log_from = 0
        self.folder = Path(tempfile.mkdtemp(prefix="tunekit-postgresql-", dir=folder)).resolve()
        self.data_folder = self.folder / "data"
        if self.user is not None:
            shutil.chown(self.folder, self.user)
        self._watcher = subprocess.Popen(  # noqa: S603 - our own text, the folder is an argument
            ["/bin/sh", "-c", _WHEN_ORPHANED, "sh", str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
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
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self) -> float:
        """Start the server and return the seconds until it accepted connections.

        Raises:
            TargetFailure: it did not start.
        """
        started = time.perf_counter()
        if self.pid is None:
            self._spawn()
        while not self._is_ready():
            if self.pid is None:
                raise self._no_start("the server does not start with this configuration")
            if time.perf_counter() - started > START_S:
                self.kill()
                raise self._no_start(f"the server did not start within {START_S:g} s")
            time.sleep(LOOK_S)
        return time.perf_counter() - started

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
        if self._process is None:
            return
        try:
            children = psutil.Process(self._process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            children = []
        self._process.kill()
        self._process.wait()
        until = time.monotonic() + STOP_S
        for child in children:
            with suppress(psutil.NoSuchProcess):
                child.kill()
        while any(_is_alive(child) for child in children) and time.monotonic() < until:
            time.sleep(LOOK_S)

    def log_tail(self) -> str:
        """Return the last lines of the log since the last start."""
        try:
            with (self.folder / "server.log").open("rb") as log:
                log.seek(self._log_from)
                text = log.read().decode(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-LOG_LINES:])

    def close(self) -> None:
        """End the server, and delete its folder."""
        self._end(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)
        self._watcher.communicate()

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
        with (self.folder / "server.log").open("ab") as log:
            self._log_from = os.fstat(log.fileno()).st_size
            self._process = subprocess.Popen(  # noqa: S603 - PostgreSQL's own program, no shell
                [str(self.programs / "postgres"), "-D", str(self.data_folder), *arguments],
                stdout=log,
                stderr=log,
                **as_user(self.user),
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

    def _end(self, sign: signal.Signals) -> None:
        if self._process is None:
            return
        if self.pid is not None:
            self._process.send_signal(sign)
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()

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
