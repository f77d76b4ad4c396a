"""Finds pgbench and runs it, with a deadline and without a shell."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunekit.errors import InvalidArgument
from tunekit_integrations.dbms.records import FailureKind, TargetFailure
from tunekit_integrations.dbms.workloads.session import as_failures, client_dsn, connect

_PLACES = ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin")
_LOST = ("server closed the connection", "terminating connection", "connection to server")


@dataclass(frozen=True, slots=True)
class Finished:
    """How a run of pgbench ended.

    Attributes:
        code: exit status, `None` where it was killed at the deadline.
        output: of it.
        errors: of it.
    """

    code: int | None
    output: str
    errors: str


def find_pgbench(url: str) -> Path:
    """Return the program that belongs to a local server, else that on PATH, else any installed.

    Raises:
        InvalidArgument: there is none.
    """
    beside = _beside_server(url)
    on_path = shutil.which("pgbench")
    installed = [f for place in _PLACES for f in sorted(Path("/").glob(f"{place}/pgbench"))]
    for found in (beside, Path(on_path) if on_path else None, *installed[::-1]):
        if found is not None and os.access(found, os.X_OK):
            return found
    raise InvalidArgument(
        "pgbench is not installed; it comes with the server's or the contrib package of "
        "PostgreSQL, or give its path as program=."
    )


def _beside_server(url: str) -> Path | None:
    """Return where the server says its programs are, if that is on this machine."""
    connection = connect(url)
    try:
        if connection.info.host not in ("", "localhost", "127.0.0.1", "::1") and not str(
            connection.info.host
        ).startswith("/"):
            return None
        with as_failures(), connection.cursor() as cursor:
            cursor.execute("SELECT has_table_privilege('pg_catalog.pg_config', 'SELECT')")
            if cursor.fetchone() != (True,):
                return None
            cursor.execute("SELECT setting FROM pg_config WHERE name = 'BINDIR'")
            row = cursor.fetchone()
            return None if row is None else Path(row[0]) / "pgbench"
    finally:
        connection.close()


def run_pgbench(
    program: Path,
    arguments: Sequence[str],
    url: str,
    *,
    options: Mapping[str, str],
    timeout_s: float,
) -> Finished:
    """Run pgbench to its end or to the timeout.

    Args:
        program: to run.
        arguments: of it, without the database.
        url: of the database; a password in it travels by the environment, which others on this
            machine cannot see.
        options: setting -> value for its sessions.
        timeout_s: after which it is killed.
    """
    from psycopg2.extensions import make_dsn, parse_dsn

    given = parse_dsn(client_dsn(url, options=options))
    password = given.pop("password", None)
    environment = {**os.environ, "LC_ALL": "C"}
    if password is not None:
        environment["PGPASSWORD"] = password
    process = subprocess.Popen(  # noqa: S603 - our own arguments, no shell
        [str(program), *arguments, make_dsn(**given)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=environment,
    )
    with process:
        try:
            output, errors = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            output, errors = process.communicate()
            return Finished(None, output, errors)
        except BaseException:
            process.kill()  # a signal of the user must leave no client behind
            raise
    return Finished(process.returncode, output, errors)


def failure_of(finished: Finished) -> TargetFailure:
    """Return what a run that ended with an error means."""
    lines = [line for line in finished.errors.splitlines() if "error:" in line.lower()]
    last = (lines or finished.errors.splitlines() or ["no message"])[0]
    is_lost = any(sign in finished.errors for sign in _LOST)
    kind = FailureKind.LOST_CONNECTION if is_lost else FailureKind.INVALID
    if "out of memory" in finished.errors:
        kind = FailureKind.OUT_OF_MEMORY
    return TargetFailure(kind, f"pgbench ended with status {finished.code}: {last.strip()}")
