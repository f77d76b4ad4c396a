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

HEAD = "0008"

metadata = MetaData()

revision = Table("tk_revision", metadata, Column("version_num", String(32), primary_key=True))


def _key(**types: type[TypeEngine[Any]]) -> list[Column[Any]]:
    """Return the columns of the primary key of a study's table."""
    types = {"study_id": Integer, **types}
    return [Column(n, t, primary_key=True, autoincrement=False) for n, t in types.items()]


studies = Table(
    "tk_studies",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("spec", Text, nullable=False),
    Column("attrs", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("n_trials", BigInteger, nullable=False),
    Column("space_version", Integer, nullable=False),
    Column("max_retries", Integer, nullable=False),
    Column("created", Double, nullable=False),
    sqlite_autoincrement=True,  # ids of deleted studies are never reused
)

spaces = Table(
    "tk_spaces", metadata, *_key(version=Integer), Column("space", Text, nullable=False)
)

trials = Table(
    "tk_trials",
    metadata,
    *_key(number=BigInteger),
    Column("seq", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("started_epoch", Integer, nullable=False),  # of the last Start, to detect repetitions
    Column("lapses", Integer, nullable=False),  # number of its leases that expired
    Column("worker", Text, nullable=False),
    Column("is_partial", Boolean, nullable=False),
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
    *_key(number=BigInteger, step=BigInteger),
    Column("metrics", Text, nullable=False),
)

events = Table(
    "tk_events",
    metadata,
    *_key(seq=BigInteger),
    Column("kind", String(16), nullable=False),
    Column("number", BigInteger),
    Column("at", Double, nullable=False),
    Column("data", Text),
)

requests = Table(
    "tk_requests",
    metadata,
    *_key(key=Text),
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
