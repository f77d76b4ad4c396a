"""Reads pg_stat_statements."""

from __future__ import annotations

from dataclasses import dataclass

from tunekit.errors import InvalidArgument
from tunekit_integrations.dbms.postgresql.session import ReconnectingSession

_MOST = 10_000
_OWN = ("pg_stat_", "pg_catalog.", "information_schema.", "pg_settings", "EXPLAIN ")
"""Questions about the server, such as ours."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A statement with constants taken out.

    Attributes:
        key: its `queryid`.
        sql: with `$1`, `$2`, ... where constants were.
        calls: how often it ran.
        seconds: that it took in all.
        rows: that it returned or changed in all.
    """

    key: str
    sql: str
    calls: int
    seconds: float
    rows: int


def recorded_statements(session: ReconnectingSession) -> list[Recorded]:
    """Return the statements of this database, those that took longest first.

    Raises:
        InvalidArgument: the extension is not installed in this database.
        TargetFailure: the server does not let this role read it, or is lost.
    """
    ((schema,),) = session.run(
        "SELECT (SELECT quote_ident(nspname) FROM pg_extension JOIN pg_namespace n "
        "ON n.oid = extnamespace WHERE extname = 'pg_stat_statements')"
    )
    if schema is None:
        raise InvalidArgument(
            "pg_stat_statements is not installed in this database; add it to "
            "shared_preload_libraries, restart, and run CREATE EXTENSION pg_stat_statements."
        )
    rows = session.run(
        "SELECT queryid, query, sum(calls), sum(total_exec_time) / 1000, sum(rows) "  # noqa: S608
        f"FROM {schema}.pg_stat_statements "  # quoted by the server
        "WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) "
        "AND query IS NOT NULL GROUP BY queryid, query ORDER BY 4 DESC LIMIT %s",
        (_MOST,),
    )
    return [
        Recorded(str(key), str(sql), int(calls), float(seconds), int(count))
        for key, sql, calls, seconds, count in rows
        if not any(sign in str(sql) for sign in _OWN)
    ]
