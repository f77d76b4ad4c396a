"""Defines the tables, identical in SQLite and PostgreSQL.

All names start with `tk_`, so that other programs can share the database. `HEAD` is the migration
revision that creates these tables; a test compares the two.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    literal_column,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine

HEAD = "0009"

metadata = MetaData()

revision = Table("tk_revision", metadata, Column("version_num", String(32), primary_key=True))


def key_of(**types: TypeEngine[Any] | type[TypeEngine[Any]]) -> list[Column[Any]]:
    """Return the columns of a primary key that is given, not counted."""
    return [Column(n, t, primary_key=True, autoincrement=False) for n, t in types.items()]


def required(**types: TypeEngine[Any] | type[TypeEngine[Any]]) -> list[Column[Any]]:
    """Return columns that are never NULL."""
    return [Column(name, type_, nullable=False) for name, type_ in types.items()]


def counted(name: str, *columns: Column[Any]) -> Table:
    """Return a table whose rows get ids; the id of a deleted row is never given again."""
    key = Column("id", Integer, primary_key=True)
    return Table(name, metadata, key, *columns, sqlite_autoincrement=True)


studies = counted(
    "tk_studies",
    Column("name", Text, nullable=False, unique=True),
    *required(
        spec=Text,
        attrs=Text,
        state=String(16),
        seq=BigInteger,
        n_trials=BigInteger,
        space_version=Integer,
        max_retries=Integer,
        created=Double,
    ),
)

spaces = Table(
    "tk_spaces",
    metadata,
    *key_of(study_id=Integer, version=Integer),
    Column("space", Text, nullable=False),
)

trials = Table(
    "tk_trials",
    metadata,
    *key_of(study_id=Integer, number=BigInteger),
    *required(
        seq=BigInteger,
        state=String(16),
        epoch=Integer,
        started_epoch=Integer,  # of the last Start, to detect repetitions
        lapses=Integer,  # number of its leases that expired
        worker=Text,
        is_partial=Boolean,
    ),
    Column("lease_until", Double),
    Column("created", Double, nullable=False),
    Column("started", Double),
    Column("finished", Double),
    Column("claim_key", Text),
    Column("tell_key", Text),
    Column("params", Text),
    Column("proposal", Text),
    Column("outcome", Text),
    Column("user_attrs", Text),
    Column("checkpoints", Text),
    Column("branch", Text),
)

reports = Table(
    "tk_reports",
    metadata,
    *key_of(study_id=Integer, number=BigInteger, step=BigInteger),
    Column("metrics", Text, nullable=False),
)

events = Table(
    "tk_events",
    metadata,
    *key_of(study_id=Integer, seq=BigInteger),
    Column("kind", String(16), nullable=False),
    Column("number", BigInteger),
    Column("at", Double, nullable=False),
    Column("data", Text),
)

requests = Table(
    "tk_requests",
    metadata,
    *key_of(study_id=Integer, key=Text),
    Column("answer", Text, nullable=False),
)

# Literals, not parameters: SQLite uses a partial index only if the query's text implies it.
IS_WAITING = trials.c.state == literal_column("'waiting'")
IS_PREEMPTED = trials.c.state == literal_column("'preempted'")
IS_RUNNING = trials.c.state == literal_column("'running'")

Index("tk_trials_seq", trials.c.study_id, trials.c.seq, unique=True)
Index("tk_trials_claim", trials.c.study_id, trials.c.claim_key)
# They match one more column of a claim's conditions than any other index, so that the planner
# has no reason to scan the whole study instead.
for _name, _state, _last in (
    ("waiting", IS_WAITING, trials.c.number),
    ("preempted", IS_PREEMPTED, trials.c.number),
    ("running", IS_RUNNING, trials.c.lease_until),
):
    Index(
        f"tk_trials_{_name}",
        trials.c.study_id,
        trials.c.state,
        _last,
        sqlite_where=_state,
        postgresql_where=_state,
    )


class clock(FunctionElement[float]):
    """The time on the clock of the database, in seconds since 1970."""

    type = Double()
    inherit_cache = True


@compiles(clock, "sqlite")
def _clock_sqlite(element: clock, compiler: Any, **options: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(clock, "postgresql")
def _clock_postgresql(element: clock, compiler: Any, **options: Any) -> str:
    # Not now(), which is when the transaction began, possibly long before it got its lock.
    return "CAST(extract(epoch FROM clock_timestamp()) AS double precision)"
