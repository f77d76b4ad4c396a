"""Starts a temporary PostgreSQL server for tests and benchmarks."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path


class PostgresServer:
    """Manages a server on a free loopback port, with its data in its own folder.

    Root starts it as the user `postgres`, because PostgreSQL refuses to run as root.

    Args:
        binaries: folder with `initdb` and `pg_ctl`; see `find_binaries`.
        folder: empty folder for the server's data.
    """

    def __init__(self, binaries: Path, folder: Path) -> None:
        self._binaries = binaries
        self._data = folder / "data"
        self._log = folder / "server.log"
        self._names = (f"test_{i}" for i in count())
        if os.getuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        self._run("initdb", "-D", self._data, "-U", "tunekit", "-A", "trust", "-E", "UTF8", "-N")
        self.port = free_port()

    @property
    def pid(self) -> int:
        """The process id of the postmaster."""
        return int((self._data / "postmaster.pid").read_text().splitlines()[0])

    def start(self) -> None:
        """Start the server and wait until it accepts connections."""
        settings = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' "
            # fsync only matters if the machine crashes, not if the server does.
            "-c fsync=off -c max_connections=100"
        )
        self._run(
            "pg_ctl", "-D", self._data, "-l", self._log, "-o", settings, "-w", "-t", "60", "start"
        )

    def stop(self, mode: str = "immediate") -> None:
        """Stop the server; mode `immediate` simulates a crash."""
        self._run("pg_ctl", "-D", self._data, "-m", mode, "-w", "-t", "60", "stop")

    def restart(self) -> None:
        """Crash the server and start it again."""
        self.stop()
        self.start()

    def url(self, database: str) -> str:
        """Return the URL of a database."""
        return f"postgresql://tunekit@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """Create an empty database and return its URL."""
        name = next(self._names)
        self._execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def add_user(self, name: str, password: str) -> None:
        """Create a user who must log in with this password; others need none."""
        rules = self._data / "pg_hba.conf"
        rule = f"host all {name} 127.0.0.1/32 scram-sha-256\n"
        rules.write_text(rule + rules.read_text(encoding="utf-8"), encoding="utf-8")
        self._execute(f"CREATE ROLE {name} SUPERUSER LOGIN PASSWORD '{password}'")
        self._execute("SELECT pg_reload_conf()")

    def drop_database(self, url: str) -> None:
        """Drop a database, even if it has open connections."""
        self._execute(f"DROP DATABASE {url.rsplit('/', 1)[1]} WITH (FORCE)")

    def _execute(self, statement: str) -> None:
        import psycopg2

        connection = psycopg2.connect(self.url("postgres"))
        try:
            connection.autocommit = True  # neither statement may run in a transaction
            connection.cursor().execute(statement)
        finally:
            connection.close()

    def _run(self, program: str, *arguments: object) -> None:
        command = [str(self._binaries / program), *map(str, arguments)]
        if os.getuid() == 0:
            command = ["runuser", "-u", "postgres", "--", *command]
        # Output goes to a file: the server would inherit a pipe and keep it open.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(  # noqa: S603 - our own arguments, no shell
                command, stdout=output, stderr=output, cwd="/", timeout=120, check=False
            )
            if done.returncode:
                output.seek(0)
                raise RuntimeError(f"{command}: {output.read().decode(errors='replace')}")


def find_binaries() -> Path | None:
    """Return the program folder of the newest installed server, or `None`."""
    candidates = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    initdb = shutil.which("initdb")
    if initdb:
        candidates.insert(0, Path(initdb).resolve().parent)  # `initdb` may be a link
    for folder in candidates:
        if (folder / "initdb").exists() and (folder / "pg_ctl").exists():
            return folder
    return None


def free_port() -> int:
    """Return a port that was free at the time of the call."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@contextmanager
def running_server(binaries: Path) -> Iterator[PostgresServer]:
    """Start a server in a temporary folder; on exit, stop it and delete the folder."""
    folder = Path(tempfile.mkdtemp(prefix="tunekit-postgres-"))
    server = PostgresServer(binaries, folder)
    try:
        server.start()
        yield server
    finally:
        _end(server)
        shutil.rmtree(folder, ignore_errors=True)


def _end(server: PostgresServer) -> None:
    try:
        pid = server.pid
    except FileNotFoundError:
        return  # the server is not running
    try:
        server.stop()
    except RuntimeError:
        os.kill(pid, signal.SIGKILL)
