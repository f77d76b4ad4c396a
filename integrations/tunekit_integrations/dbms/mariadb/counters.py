"""Reads what a server used from its status and from its process."""

from __future__ import annotations

import psutil

from tunekit_integrations.dbms.counters import Counters
from tunekit_integrations.dbms.mariadb.connection import AutocommitConnection


def read_counters(connection: AutocommitConnection, *, pid: int | None) -> Counters:
    """Return the counters of a server.

    Args:
        connection: to it.
        pid: of its process, `None` where that cannot be seen.
    """
    rows = connection.rows("SHOW GLOBAL STATUS LIKE 'Innodb_os_log_written'")
    return Counters(_cpu_s(pid), int(rows[0][1]) if rows else 0)


def _cpu_s(pid: int | None) -> float | None:
    if pid is None:
        return None
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return None
    return float(times.user + times.system)
