"""What a database of PostgreSQL does while a workload runs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from tunekit_integrations.dbms.postgresql.counters import await_clients_gone
from tunekit_integrations.dbms.postgresql.session import ReconnectingSession
from tunekit_integrations.dbms.profile import METRICS, WorkloadProfile, profile_of
from tunekit_integrations.dbms.target import Workload

_COLUMNS = (
    "blks_hit, blks_read, xact_commit + xact_rollback, tup_returned, tup_fetched, tup_inserted,"
    " tup_updated, tup_deleted"
)


@runtime_checkable
class _Weighted(Protocol):
    def weights(self) -> Mapping[str, int]: ...


@dataclass(frozen=True, slots=True)
class Activity:
    """Totals of a database since its statistics were reset, and when they were read."""

    at: float
    hit: int
    read: int
    transactions: int
    returned: int
    fetched: int
    inserted: int
    updated: int
    deleted: int
    active_s: float | None


def read_activity(session: ReconnectingSession) -> Activity:
    """Return the totals of the session's database.

    Raises:
        TargetFailure: the server does not answer.
    """
    ((version,),) = session.run("SELECT current_setting('server_version_num')::int")
    active = "active_time / 1000" if version >= 140_000 else "NULL"
    statement = f"SELECT {_COLUMNS}, {active} FROM pg_stat_database"  # noqa: S608 - our own
    ((*counts, active_s),) = session.run(f"{statement} WHERE datname = current_database()")
    hit, read, transactions, returned, fetched, inserted, updated, deleted = map(int, counts)
    return Activity(
        at=time.monotonic(),
        hit=hit,
        read=read,
        transactions=transactions,
        returned=returned,
        fetched=fetched,
        inserted=inserted,
        updated=updated,
        deleted=deleted,
        active_s=None if active_s is None else float(active_s),
    )


def metrics_between(before: Activity, after: Activity, *, clients: int) -> dict[str, float]:
    """Return the value of each of `METRICS` between two readings.

    Args:
        before: first reading.
        after: second one, of the same database.
        clients: of the workload; the active sessions where the server does not count them.
    """
    seconds = max(after.at - before.at, 1e-9)
    hit, read = after.hit - before.hit, after.read - before.read
    is_counted = before.active_s is not None and after.active_s is not None
    active = (after.active_s or 0.0) - (before.active_s or 0.0)
    values = (
        hit / (hit + read) if hit + read else 1.0,
        (hit + read) / seconds,
        read / seconds,
        active / seconds if is_counted else float(clients),
        (after.transactions - before.transactions) / seconds,
        (after.returned - before.returned) / seconds,
        (after.fetched - before.fetched) / seconds,
        (after.inserted - before.inserted) / seconds,
        (after.updated - before.updated) / seconds,
        (after.deleted - before.deleted) / seconds,
    )
    return dict(zip(METRICS, values, strict=True))


def profile_workload(
    url: str, workload: Workload, *, seconds: float = 2.0, deadline_s: float = 600.0, seed: int = 0
) -> WorkloadProfile:
    """Run a slice of a prepared workload and return its profile.

    Raises:
        TargetFailure: the server was lost, or the workload failed.
    """
    session = ReconnectingSession(url)
    try:
        before = read_activity(session)
        workload.run(url, seconds=seconds, deadline_s=deadline_s, seed=seed)
        await_clients_gone(session)
        after = read_activity(session)
        ((size,),) = session.run("SELECT pg_database_size(current_database())")
    finally:
        session.close()
    return profile_of(
        workload.queries(),
        weights=workload.weights() if isinstance(workload, _Weighted) else None,
        data_bytes=int(size),
        metrics=metrics_between(before, after, clients=workload.clients),
    )
