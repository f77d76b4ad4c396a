"""Fixtures for all tests: a real PostgreSQL server, started once a session (and xdist worker)."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest


class PostgresServer:
    """A throw-away server on loopback and a free port, in a folder of its own."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        self._binaries = binaries
        self._data = folder / "data"
        self._log = folder / "server.log"
        self._names = (f"test_{i}" for i in count())
        if os.getuid() == 0:  # PostgreSQL refuses to run as root
            shutil.chown(folder, "postgres", "postgres")
        self._run("initdb", "-D", self._data, "-U", "tunekit", "-A", "trust", "-E", "UTF8", "-N")
        self.port = _free_port()

    @property
    def pid(self) -> int:
        """The process id of the postmaster."""
        return int((self._data / "postmaster.pid").read_text().splitlines()[0])

    def start(self) -> None:
        """Start the server and wait until it takes connections."""
        settings = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' "
            # What a crash of the server (not of the machine) may cost does not depend on fsync.
            "-c fsync=off -c max_connections=100"
        )
        self._run(
            "pg_ctl", "-D", self._data, "-l", self._log, "-o", settings, "-w", "-t", "60", "start"
        )

    def stop(self, mode: str = "immediate") -> None:
        """Stop the server; `immediate` is what a crash looks like."""
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
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "tunekit", name)
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Drop a database, also one that somebody still uses."""
        name = url.rsplit("/", 1)[1]
        self._run("dropdb", "-f", "-h", "127.0.0.1", "-p", str(self.port), "-U", "tunekit", name)

    def _run(self, program: str, *arguments: object) -> None:
        command = [str(self._binaries / program), *map(str, arguments)]
        if os.getuid() == 0:
            command = ["runuser", "-u", "postgres", "--", *command]
        # Output goes to a file: the server inherits it, and a pipe would never reach its end.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(command, stdout=output, stderr=output, cwd="/", timeout=120)
            if done.returncode:
                output.seek(0)
                raise RuntimeError(f"{command}: {output.read().decode(errors='replace')}")


def _binaries() -> Path | None:
    candidates = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    config = shutil.which("pg_config")
    if config:
        found = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=True)
        candidates.insert(0, Path(found.stdout.strip()))
    for folder in candidates:
        if (folder / "initdb").exists() and (folder / "pg_ctl").exists():
            return folder
    return None


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A running server; tests may crash and restart it, but leave it running."""
    binaries = _binaries()
    if binaries is None:
        reason = "no PostgreSQL server is installed (looked for initdb and pg_ctl)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="tunekit-postgres-"))
    server = PostgresServer(binaries, folder)
    try:
        server.start()
        yield server
    finally:
        try:
            pid = server.pid
        except FileNotFoundError:
            pid = None  # it does not run
        if pid is not None:
            try:
                server.stop()
            except RuntimeError:
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of an empty database of its own."""
    url = postgres_server.new_database()
    yield url
    postgres_server.drop_database(url)
