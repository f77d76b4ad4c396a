"""What a server used: processor time, temporary files, log of changes."""

from __future__ import annotations

import psutil

from tunekit_integrations.dbms.counters import Counters
from tunekit_integrations.dbms.postgresql.session import ReconnectingSession
from tunekit_integrations.dbms.records import TargetFailure
from tunekit_integrations.dbms.waiting import wait_until
from tunekit_integrations.dbms.workloads.session import APPLICATION as WORKLOAD_CLIENT

_LINGERS_S = 2.0
_LOOK_S = 0.002
_LOOKS = 20


def read_counters(session: ReconnectingSession, pid: int | None) -> Counters:
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
    return Counters(_cpu_seconds(pid), wal_bytes=int(log), temp_bytes=int(temporary))


def await_clients_gone(session: ReconnectingSession) -> None:
    """Wait until the sessions of a workload have ended: only then do their counts show.

    Raises:
        TargetFailure: the server does not answer.
    """
    statement = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
    wait_until(
        lambda: session.run(statement, (WORKLOAD_CLIENT,)) == [(0,)],
        within_s=_LINGERS_S,
        every_s=_LOOK_S,
    )


def _cpu_seconds(pid: int | None) -> float | None:
    """Return the CPU time of a postmaster and all its processes, living and ended.

    A process that ends between two looks would count twice or not at all, so that the postmaster
    is asked again until it has buried none meanwhile.
    """
    if pid is None:
        return None
    try:
        postmaster = psutil.Process(pid)
        for _ in range(_LOOKS):
            before = postmaster.cpu_times()
            living = _living_seconds(postmaster)
            after = postmaster.cpu_times()
            if (before.children_user, before.children_system) == (
                after.children_user,
                after.children_system,
            ):
                break
        return living + sum(after[:4])
    except (OSError, psutil.Error):
        return None


def _living_seconds(postmaster: psutil.Process) -> float:
    total = 0.0
    for child in postmaster.children():
        try:
            own = child.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += own.user + own.system
    return total
