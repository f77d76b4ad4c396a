"""Counts what a server used while a workload ran."""

from __future__ import annotations

from dataclasses import dataclass, replace

import psutil

from tunekit_integrations.dbms.mariadb.connection import AutocommitConnection
from tunekit_integrations.dbms.records import Measurement


@dataclass(frozen=True, slots=True)
class Counters:
    """Totals since the start of a server.

    Attributes:
        cpu_s: of its process, `None` where that is on another machine.
        log_bytes: written to the redo log.
    """

    cpu_s: float | None
    log_bytes: int

    def added_to(self, found: Measurement, before: Counters) -> Measurement:
        """Return a measurement with what was used since `before`."""
        cpu = found.cpu_seconds
        if self.cpu_s is not None and before.cpu_s is not None:
            cpu = self.cpu_s - before.cpu_s
        return replace(found, cpu_seconds=cpu, wal_bytes=self.log_bytes - before.log_bytes)


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
