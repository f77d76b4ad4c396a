"""What a server used while a workload ran."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tunekit_integrations.dbms.records import Measurement


@dataclass(frozen=True, slots=True)
class Counters:
    """Totals since a server started.

    Attributes:
        cpu_seconds: of all its processes, `None` where they are on another machine.
        wal_bytes: written to its log of changes.
        temp_bytes: written to temporary files, `None` where the server does not count them.
    """

    cpu_seconds: float | None
    wal_bytes: int
    temp_bytes: int | None = None

    def added_to(self, found: Measurement, before: Counters) -> Measurement:
        """Return a measurement with what the server used since `before`.

        What is not known of the server stays as the workload measured it.
        """
        cpu, temporary = found.cpu_seconds, found.temp_bytes
        if self.cpu_seconds is not None and before.cpu_seconds is not None:
            cpu = self.cpu_seconds - before.cpu_seconds
        if self.temp_bytes is not None and before.temp_bytes is not None:
            temporary = self.temp_bytes - before.temp_bytes
        log = self.wal_bytes - before.wal_bytes
        return replace(found, cpu_seconds=cpu, temp_bytes=temporary, wal_bytes=log)
