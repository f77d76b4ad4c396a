"""Estimates the most memory that a server will use."""

from __future__ import annotations

from collections.abc import Mapping

from tunekit_integrations.dbms.catalogue import UNITS, Catalogue
from tunekit_integrations.dbms.records import Value

SESSION_BYTES = 10 * 2**20
"""What a session takes besides its sorts: caches of the system's tables and of plans."""

MOST_SHARED = 0.5
"""Share of the memory above which shared_buffers is refused: the rest is cached twice."""


def memory_estimate(
    values: Mapping[str, Value], catalogue: Catalogue, *, clients: int, shared_bytes: int = 0
) -> int:
    """Return bytes that the server may use when all clients sort or hash at once.

    Args:
        values: knob -> value in force, in the units of the catalogue.
        catalogue: of the knobs.
        clients: sessions at once.
        shared_bytes: what the server itself says of its shared memory; estimated if 0.
    """

    def of(name: str, default: float) -> float:
        value = values.get(name)
        if value is None or isinstance(value, str):
            return default
        return float(value) * (UNITS[catalogue.knobs[name].unit] if value > 0 else 1)

    buffers = of("shared_buffers", 128 * 2**20)
    log = of("wal_buffers", -1)
    shared = shared_bytes or buffers + (log if log >= 0 else min(buffers / 32, 16 * 2**20))
    parallel = clients * of("max_parallel_workers_per_gather", 2)
    parallel = min(parallel, of("max_parallel_workers", 8), of("max_worker_processes", 8))
    sorting = of("work_mem", 4 * 2**20) * of("hash_mem_multiplier", 2)
    sessions = (clients + parallel) * (SESSION_BYTES + sorting)
    temporary = clients * of("temp_buffers", 8 * 2**20)
    maintenance = of("maintenance_work_mem", 64 * 2**20)
    vacuum = of("autovacuum_work_mem", -1)
    vacuum = vacuum if vacuum >= 0 else maintenance
    workers = min(of("autovacuum_max_workers", 3), of("autovacuum_worker_slots", 16))
    return int(shared + sessions + temporary + maintenance + workers * vacuum)
