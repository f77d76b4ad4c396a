"""A private server: data in a scratch folder, reached only over a socket in it."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tunekit_integrations.dbms.mariadb.connection import Address, connected
from tunekit_integrations.dbms.mariadb.option_file import options_text, write_whole
from tunekit_integrations.dbms.mariadb.programs import Programs
from tunekit_integrations.dbms.owned_process import (
    OwnedProcess,
    scratch_folder,
    unprivileged_user,
)
from tunekit_integrations.dbms.records import FailureKind, TargetFailure
from tunekit_integrations.dbms.waiting import wait_until

DATABASE = "tunekit"
START_S = 60.0
STOP_S = 60.0
SET_UP_S = 180.0
LOOK_S = 0.01
ANSWER_S = 2.0

# What makes a data folder quickly: nothing in it is worth a flush before it is complete.
_INSTALL = (
    "--innodb-log-file-size=10M",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-doublewrite=0",
    "--auth-root-authentication-method=normal",
    "--skip-test-db",
)
_OUT_OF_MEMORY = ("out of memory", "cannot allocate memory", "cannot map innodb_buffer_pool")


class PrivateServer:
    """A server that only its owner can reach, and that is gone when this process is.

    Args:
        programs: of the server.
        configuration: options of its own, below those under trial.
        data: data folder of a server that is stopped, to copy; else a new one is made.

    Raises:
        TargetFailure: it cannot be set up.
    """

    is_private = True
    may_restart = True

    def __init__(
        self,
        programs: Programs,
        *,
        configuration: Mapping[str, str] | None = None,
        data: Path | None = None,
    ) -> None:
        self.programs = programs
        self.configuration = dict(configuration or {})
        self._user = unprivileged_user("mysql")
        self.folder = scratch_folder(programs.system, user=self._user)
        self.data_folder = self.folder / "data"
        self.option_file = self.folder / "conf.d" / "tunekit.cnf"
        self._process: OwnedProcess | None = None
        try:
            self._set_up(data)
        except BaseException:
            self.close()
            raise

    @property
    def url(self) -> str:
        """URL of the database."""
        return Address("root", socket=str(self._socket), database=DATABASE).url()

    @property
    def pid(self) -> int | None:
        """Process id of the server, `None` where it does not run."""
        return self._process.pid if self.is_running() and self._process else None

    def is_running(self) -> bool:
        """Return whether the server's process is there."""
        return self._process is not None and not self._process.has_ended()

    def log_excerpt(self) -> str:
        """Return the last lines of the server's log since its last start."""
        return self._process.log_excerpt() if self._process else ""

    @property
    def _socket(self) -> Path:
        return self.folder / "s"

    @property
    def _main_file(self) -> Path:
        return self.folder / "main.cnf"

    def _set_up(self, data: Path | None) -> None:
        for folder in (self.option_file.parent, self.folder / "tmp"):
            folder.mkdir()
            self._hand_over(folder)
        own = {
            "datadir": self.data_folder,
            "tmpdir": self.folder / "tmp",
            "socket": self._socket,
            "pid-file": self.folder / "pid",
        }
        lines = [f"{name} = {text}" for name, text in {**self.configuration, **own}.items()]
        lines += ["skip-networking", "skip-name-resolve"]
        lines += ["mysqlx = OFF"] if self.programs.system == "mysql" else []
        text = "\n".join(["[mysqld]", *lines, f"!includedir {self.option_file.parent}", ""])
        write_whole(self._main_file, text)
        if data is not None:
            shutil.copytree(data, self.data_folder)
            self._hand_over(self.data_folder)
            return
        self._install()
        self.start()
        with connected(Address("root", socket=str(self._socket)).url()) as connection:
            connection.rows(f"CREATE DATABASE {DATABASE}")

    def _hand_over(self, folder: Path) -> None:
        if self._user:
            for path in (folder, *folder.rglob("*")):
                shutil.chown(path, self._user)

    def _install(self) -> None:
        programs, where = self.programs, f"--datadir={self.data_folder}"
        if programs.installer:
            self.data_folder.mkdir()
            self._hand_over(self.data_folder)
            command = [str(programs.installer), "--no-defaults", where, *_INSTALL]
        else:
            command = [str(programs.server), "--no-defaults", "--initialize-insecure", where]
        done = self._run(command, timeout_s=SET_UP_S)
        if done.returncode:
            raise TargetFailure(
                FailureKind.NO_START,
                f"no data folder for a private server could be made in {self.folder}.",
                log=done.stdout[-4000:],
            )

    def _run(
        self, command: Sequence[str], *, timeout_s: float
    ) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(  # noqa: S603 - our own arguments, no shell
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                cwd="/",
                user=self._user,
                extra_groups=[] if self._user else None,
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise TargetFailure(
                FailureKind.TIMEOUT, f"{command[0]} did not end in {timeout_s:g} s."
            ) from error

    def preflight(self, settings: Mapping[str, str]) -> str:
        """Return what the server's own reader of options says against settings, else "".

        It reads them as a start would, and starts nothing.
        """
        trial = self.folder / "preflight.cnf"
        base = self._main_file.read_text(encoding="utf-8").partition("!includedir")[0]
        write_whole(trial, base + options_text(settings))
        check = (
            ["--validate-config"] if self.programs.system == "mysql" else ["--verbose", "--help"]
        )
        command = [str(self.programs.server), f"--defaults-file={trial}", *check]
        done = self._run(command, timeout_s=START_S)
        # The reader itself succeeds with a faulty option of a storage engine.
        if "[ERROR]" in done.stdout:
            return _reason(done.stdout)
        return f"it ended with status {done.returncode}" if done.returncode else ""

    def start(self) -> float:
        """Start the server and return the seconds until it answered.

        Raises:
            TargetFailure: it does not start; the log says why.
        """
        started = time.perf_counter()
        if self.is_running():
            return 0.0
        command = [str(self.programs.server), f"--defaults-file={self._main_file}"]
        process = OwnedProcess(command, log=self.folder / "log", user=self._user)
        self._process = process
        in_time = wait_until(
            lambda: process.has_ended() or self._lets_in(), within_s=START_S, every_s=LOOK_S
        )
        if not in_time:
            process.kill()
            raise TargetFailure(
                FailureKind.TIMEOUT,
                f"the server did not answer within {START_S:g} s of its start.",
                log=process.log_excerpt(),
            )
        if process.has_ended():
            raise self._did_not_start(process)
        return time.perf_counter() - started

    def _lets_in(self) -> bool:
        if not self._socket.exists():
            return False
        url = Address("root", socket=str(self._socket)).url()
        try:
            with connected(url, read_timeout_s=START_S):
                return True
        except TargetFailure:
            return False  # it listens already, and does not answer yet

    def _did_not_start(self, process: OwnedProcess) -> TargetFailure:
        log = process.log_excerpt()
        is_memory = any(sign in log.lower() for sign in _OUT_OF_MEMORY)
        kind = FailureKind.OUT_OF_MEMORY if is_memory else FailureKind.NO_START
        why = _reason(log) or "its log does not say why"
        return TargetFailure(kind, f"the server does not start: {why}", log=log)

    def restart(self) -> None:
        """Stop the server in order and start it again.

        Raises:
            TargetFailure: it does not start.
        """
        self.stop()
        self.start()

    def revive(self) -> None:
        """Start a dead server, and restart one that does not answer.

        Raises:
            TargetFailure: it does not start.
        """
        if not self.answers():
            self.kill()
            self.start()

    def answers(self) -> bool:
        """Return whether the server answers."""
        if not self.is_running():
            return False
        try:
            with connected(self.url, read_timeout_s=ANSWER_S) as connection:
                return bool(connection.rows("SELECT 1"))
        except TargetFailure:
            return False

    def stop(self) -> None:
        """Stop the server in order; nothing where it does not run."""
        if self._process:
            self._process.stop(signal.SIGTERM, timeout_s=STOP_S)
            self._process = None
        self._socket.unlink(missing_ok=True)

    def kill(self) -> None:
        """End the server as a crash does."""
        if self._process:
            self._process.kill()
            self._process = None
        self._socket.unlink(missing_ok=True)

    def close(self) -> None:
        """End the server and delete its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def _reason(log: str) -> str:
    """Return the first error of a log, or what stands last before it gives up without a reason."""
    lines = [line for line in log.splitlines() if line.strip() and "[ERROR] Aborting" not in line]
    errors = [line for line in lines if "[ERROR]" in line]
    rest = [line for line in lines if "[Note]" not in line]
    return (errors or rest[-1:] or [""])[0].rpartition("] ")[2].strip()
