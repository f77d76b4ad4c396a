"""What a server used: processor time, temporary files, log of changes."""

from __future__ import annotations

from dataclasses import dataclass

import psutil

from tunekit_integrations.dbms.postgresql.session import Session
from tunekit_integrations.dbms.records import TargetFailure


@dataclass(frozen=True, slots=True)
class Counters:
    """Totals since the server started.

    Attributes:
        cpu_seconds: of all its processes, `None` where they are on another machine.
        temp_bytes: written to temporary files, of all databases.
        wal_bytes: written to the log of changes.
    """

    cpu_seconds: float | None
    temp_bytes: int
    wal_bytes: int


def read_counters(session: Session, pid: int | None) -> Counters:
    """Return the totals of a server.

    Raises:
        TargetFailure: it does not answer.
    """
    ((temporary,),) = session.run("SELECT coalesce(sum(temp_bytes), 0) FROM pg_stat_database")
    try:
        ((log,),) = session.run("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')")
    except TargetFailure as failure:
        if "recovery" not in failure.message:
            raise
        log = 0  # a standby writes none
    return Counters(_cpu_seconds(pid), int(temporary), int(log))


def _cpu_seconds(pid: int | None) -> float | None:
    """Return the time of a postmaster, its processes, and those that have ended."""
    if pid is None:
        return None
    try:
        postmaster = psutil.Process(pid)
        with postmaster.oneshot():
            times = postmaster.cpu_times()
        total = times.user + times.system + times.children_user + times.children_system
        for child in postmaster.children():
            try:
                own = child.cpu_times()
            except psutil.NoSuchProcess:
                continue  # its time counts with the postmaster's from the next look on
            total += own.user + own.system
        return total
    except (OSError, psutil.Error):
        return None
