"""A session on PostgreSQL that neither a slow query nor a frozen server holds for ever."""

from __future__ import annotations

import math
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tunekit.errors import InvalidArgument, MissingExtra
from tunekit_integrations.dbms.postgresql.session import Row, failure_of

if TYPE_CHECKING:
    import psycopg2
    import psycopg2.extensions

APPLICATION = "tunekit workload"
"""Name of a workload's sessions in `pg_stat_activity`."""

FROZEN_AFTER_S = 1.0
"""How long after the deadline a server may take to obey its own statement_timeout."""

CONNECT_TIMEOUT_S = 10


class DeadlineReached(Exception):
    """A statement was cut off because its time was up."""


class WorkloadSession:
    """Runs statements, one at a time, none beyond the deadline.

    Args:
        connection: of psycopg2, in autocommit mode; the session closes nothing.
        deadline: on the clock of `time.monotonic`.
    """

    def __init__(self, connection: psycopg2.extensions.connection, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline
        self._cursor = connection.cursor()

    def execute(self, sql: str) -> tuple[list[Row], float]:
        """Run one statement and return its rows with the seconds that it took.

        Raises:
            DeadlineReached: it was cut off.
            TargetFailure: the server refused it, or was lost.
        """
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise DeadlineReached
        with as_failures(self._deadline):
            self._cursor.execute(f"SET statement_timeout = {max(math.ceil(left * 1000), 1)}")
            start = time.perf_counter()
            self._cursor.execute(sql)
            rows = self._cursor.fetchall() if self._cursor.description else []
            return rows, time.perf_counter() - start


@contextmanager
def session(url: str, *, deadline: float, is_read_only: bool = False) -> Iterator[WorkloadSession]:
    """Open a session; on exit it is closed.

    Args:
        url: of the database.
        deadline: on the clock of `time.monotonic`; the connection is cut soon after it.
        is_read_only: whether the server refuses to change data in it.

    Raises:
        TargetFailure: the server cannot be reached.
    """
    connection = connect(
        url, options={"default_transaction_read_only": "on"} if is_read_only else None
    )
    cut = threading.Timer(
        max(deadline - time.monotonic(), 0) + FROZEN_AFTER_S, _shut, (connection.fileno(),)
    )
    cut.daemon = True
    cut.start()
    try:
        yield WorkloadSession(connection, deadline)
    finally:
        cut.cancel()
        cut.join()  # the number of a closed socket may belong to another file
        connection.close()


def connect(
    url: str, *, options: Mapping[str, str] | None = None
) -> psycopg2.extensions.connection:
    """Return a connection in autocommit mode.

    Args:
        url: of the database; what it sets by `options=` stays.
        options: setting -> value for the session.

    Raises:
        TargetFailure: the server cannot be reached.
        MissingExtra: psycopg2 is not installed.
    """
    try:
        import psycopg2
    except ImportError:
        raise MissingExtra("knobs", "a workload on PostgreSQL") from None
    with as_failures():
        connection = psycopg2.connect(client_dsn(url, options=options or {}))
    connection.autocommit = True
    return connection


def client_dsn(url: str, *, options: Mapping[str, str]) -> str:
    """Return a connection string of libpq with settings for the session added.

    Raises:
        InvalidArgument: the URL is not one of PostgreSQL.
    """
    import psycopg2
    from psycopg2.extensions import make_dsn, parse_dsn

    try:
        given = parse_dsn(url)
    except psycopg2.ProgrammingError as error:
        raise InvalidArgument(
            f"the URL of the database is not one of PostgreSQL: {str(error).strip()}"
        ) from None
    # A backslash keeps a blank within one option of libpq.
    added = ["-c " + f"{name}={value}".replace(" ", "\\ ") for name, value in options.items()]
    given.setdefault("connect_timeout", str(CONNECT_TIMEOUT_S))
    given["application_name"] = APPLICATION
    given["options"] = " ".join([given.get("options", ""), *added]).strip()
    return str(make_dsn(**given))


def _shut(descriptor: int) -> None:
    with socket.socket(fileno=socket.dup(descriptor)) as half:
        try:
            half.shutdown(socket.SHUT_RDWR)  # a client that waits sees the end of its connection
        except OSError:
            pass  # it has gone by itself


@contextmanager
def as_failures(deadline: float = math.inf) -> Iterator[None]:
    """Turn errors of the client into failures of a trial, and cut-off ones into the deadline."""
    import psycopg2
    from psycopg2 import errors

    try:
        yield
    except errors.QueryCanceled:
        raise DeadlineReached from None
    except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
        if time.monotonic() > deadline and error.pgcode is None:
            raise DeadlineReached from None
        raise failure_of(error) from None
    except psycopg2.Error as error:
        raise failure_of(error) from None
