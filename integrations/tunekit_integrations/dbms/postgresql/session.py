"""Asks a server with a deadline, which holds even where the server is frozen."""

from __future__ import annotations

import select
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from tunekit.errors import MissingExtra
from tunekit_integrations.dbms.records import FailureKind, TargetFailure
from tunekit_integrations.dbms.waiting import retry

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection
    from psycopg2.sql import Composable

Row: TypeAlias = tuple[Any, ...]

CONNECT_S = 10.0
STATEMENT_S = 30.0
RECOVERY_S = 120.0
"""Seconds in which a server recovers from the crash of one of its processes."""


_KINDS = {"53200": FailureKind.OUT_OF_MEMORY, "57014": FailureKind.TIMEOUT}
_LOST = ("08", "57P")
"""Classes of SQLSTATE: connection exceptions, and a server that shuts down or starts."""


class ReconnectingSession:
    """A connection in autocommit mode that opens at its first statement, and again when lost.

    Args:
        dsn: connection string or URL of libpq.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: Connection | None = None

    def run(
        self,
        statement: str | Composable,
        values: Sequence[object] = (),
        *,
        timeout_s: float = STATEMENT_S,
    ) -> list[Row]:
        """Run one statement and return its rows.

        Raises:
            TargetFailure: the server refused it, was lost, or did not answer in time.
        """
        is_old = self._connection is not None
        try:
            return self._run(statement, values, timeout_s)
        except TargetFailure as failure:
            if failure.kind is not FailureKind.LOST_CONNECTION or not is_old:
                raise
        # The server was restarted since the last statement. Those of a target may be repeated.
        return self._run(statement, values, timeout_s)

    def _run(
        self, statement: str | Composable, values: Sequence[object], timeout_s: float
    ) -> list[Row]:
        connection = self._open(min(timeout_s, CONNECT_S))  # says which extra is missing
        import psycopg2

        try:
            with connection.cursor() as cursor:
                cursor.execute(statement, values or None)
                self._wait(connection, time.monotonic() + timeout_s)
                return cursor.fetchall() if cursor.description else []
        except psycopg2.Error as error:
            failure = failure_of(error)
            if failure.kind is FailureKind.LOST_CONNECTION:
                self.close()
            raise failure from None

    def close(self) -> None:
        """Close the connection; the next statement opens a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self, timeout_s: float) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = self._connected(timeout_s)
        return self._connection

    def _connected(self, timeout_s: float) -> Connection:
        try:
            import psycopg2
        except ImportError:
            raise MissingExtra("knobs", "tuning PostgreSQL") from None

        def connect() -> Connection:
            try:
                made = psycopg2.connect(self._dsn, async_=True, application_name="tunekit knobs")
                self._wait(made, time.monotonic() + timeout_s)
            except psycopg2.Error as error:
                raise failure_of(error) from None
            return made

        return retry(connect, within_s=RECOVERY_S, may_pass=_is_recovering)

    def _wait(self, connection: Connection, deadline: float) -> None:
        from psycopg2.extensions import POLL_OK, POLL_READ

        poller = select.poll()
        while (state := connection.poll()) != POLL_OK:
            events = select.POLLIN if state == POLL_READ else select.POLLOUT
            poller.register(connection.fileno(), events)
            left = deadline - time.monotonic()
            if left <= 0 or not poller.poll(left * 1000):
                self.close()
                connection.close()
                raise TargetFailure(
                    FailureKind.TIMEOUT, "the server did not answer in time; it may be frozen."
                )
            poller.unregister(connection.fileno())


def _is_recovering(failure: TargetFailure) -> bool:
    """Return whether a server will answer soon; an error in a connection has no SQLSTATE."""
    text = failure.message
    return "the database system is" in text and "shutting down" not in text


def failure_of(error: Exception) -> TargetFailure:
    """Return what an error of psycopg2 means for a configuration."""
    code = getattr(error, "pgcode", None) or ""
    message = " ".join(str(error).split()) or type(error).__name__
    if not code or code.startswith(_LOST):
        return TargetFailure(FailureKind.LOST_CONNECTION, f"the server is not there: {message}.")
    kind = _KINDS.get(code, FailureKind.INVALID)
    return TargetFailure(kind, f"the server refused a statement ({code}): {message}.")
