"""What rules of thumb set on a machine: the first candidate, before anything is learnt.

The rules are those of PGTune and of the vendors' manuals, with three differences: nothing is set
that the machine cannot give (memory is shared by the sessions that there are, logs take a tenth of
the free disk at most), a value in force that is larger already stays, and nothing about durability
or the build of the server (such as `io_method=io_uring`) is touched.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, TypeAlias

from tunekit_integrations.dbms.catalogue import UNITS, Catalogue
from tunekit_integrations.dbms.constraints import broken_constraints
from tunekit_integrations.dbms.records import InForce, Instance, Settings, Value

Use: TypeAlias = Literal["queries", "transactions"]
"""Whether a workload is one of long queries, or of short transactions."""

MB, GB = 2**20, 2**30
_AT_LEAST = frozenset(
    "max_wal_size min_wal_size max_worker_processes max_parallel_workers "
    "innodb_log_file_size table_open_cache innodb_read_io_threads innodb_write_io_threads".split()
)
"""Knobs of which a larger value in force stays."""


def formula(
    catalogue: Catalogue,
    in_force: Mapping[str, InForce],
    instance: Instance,
    *,
    clients: int,
    use: Use,
) -> Settings:
    """Return what the rules of thumb set, in the units of the catalogue.

    Args:
        catalogue: of the system; knobs that it or the server does not have are left out.
        in_force: the knobs of the server.
        instance: the server and its machine.
        clients: sessions at once.
        use: what it is used for.

    Returns:
        Changes only; nothing for a system without rules.
    """
    rules = {"postgresql": _postgresql, "mariadb": _mariadb, "mysql": _mariadb}
    if instance.system not in rules:
        return {}
    wanted = rules[instance.system](instance, max(clients, 1), use)
    out: dict[str, Value] = {}
    for name, value in wanted.items():
        if name not in catalogue.knobs or name not in in_force or catalogue.knobs[name].loss:
            continue
        knob, now = catalogue.knobs[name], in_force[name].value
        scaled = value / UNITS[knob.unit] if knob.unit else value
        found: Value = math.floor(scaled) if knob.kind == "int" else scaled
        if knob.kind == "enum":
            found = f"{value:g}"  # such as innodb_flush_neighbors
        if name in _AT_LEAST and not isinstance(now, str) and now >= scaled:
            continue
        if found != now:
            out[name] = found
    _fit_memory(out, catalogue, in_force, instance, max(clients, 1))
    return out


def _fit_memory(
    out: dict[str, Value],
    catalogue: Catalogue,
    in_force: Mapping[str, InForce],
    instance: Instance,
    clients: int,
) -> None:
    """Halve what maintenance, sorts and workers take until all of it together is within bounds."""
    for name in ("maintenance_work_mem", "work_mem", "max_parallel_workers_per_gather"):
        while isinstance(value := out.get(name), int) and any(
            name in rule
            for rule in broken_constraints(
                out, catalogue, in_force, machine=instance.machine, clients=clients
            )
        ):
            now = in_force[name].value
            if isinstance(now, str) or value // 2 <= now:
                del out[name]
            else:
                out[name] = value // 2


def _postgresql(instance: Instance, clients: int, use: Use) -> dict[str, float]:
    """Return values in bytes, seconds or as they are."""
    ram, cpus, disk = _machine(instance)
    buffers = ram / 4
    per_gather = min(math.ceil(cpus / 2), 4) if use == "transactions" else math.ceil(cpus / 2)
    # PGTune divides by three times the connections; sorts of one query and its workers share it.
    work = (ram - buffers) / (3 * clients * (1 + per_gather))
    log = min((4 if use == "transactions" else 16) * GB, 0.1 * disk)
    return {
        "shared_buffers": buffers,
        "effective_cache_size": 0.75 * ram,
        "work_mem": min(max(work, 4 * MB), 1 * GB, 0.05 * ram),
        "maintenance_work_mem": min(ram / (16 if use == "transactions" else 8), 2 * GB),
        "wal_buffers": min(0.03 * buffers, 16 * MB),
        "min_wal_size": log / 4,
        "max_wal_size": log,
        "checkpoint_completion_target": 0.9,
        "default_statistics_target": 100 if use == "transactions" else 500,
        "random_page_cost": 1.1,
        "effective_io_concurrency": 200,
        "max_worker_processes": cpus,
        "max_parallel_workers": cpus,
        "max_parallel_workers_per_gather": per_gather,
        "max_parallel_maintenance_workers": min(math.ceil(cpus / 2), 4),
    }


def _mariadb(instance: Instance, clients: int, use: Use) -> dict[str, float]:
    """Return values in bytes, seconds or as they are."""
    ram, cpus, disk = _machine(instance)
    # On a small machine the rest of the server and the sessions need a larger share.
    pool = (0.5 if ram < 4 * GB else 0.7) * ram
    log = min(pool / 4, 2 * GB, 0.1 * disk)
    temporary = min(max(ram / (64 * clients), 16 * MB), 64 * MB)
    return {
        "innodb_buffer_pool_size": pool,
        "innodb_log_file_size": log,
        "innodb_redo_log_capacity": 2 * log,
        "innodb_log_buffer_size": 64 * MB if ram >= 4 * GB else 16 * MB,
        "innodb_io_capacity": 2000,
        "innodb_io_capacity_max": 4000,
        "innodb_flush_neighbors": 0,
        "innodb_read_io_threads": max(4, min(2 * cpus, 16)),
        "innodb_write_io_threads": max(4, min(2 * cpus, 16)),
        "tmp_table_size": temporary,
        "max_heap_table_size": temporary,
        "table_open_cache": 4000,
        "thread_cache_size": max(clients, 16),
        "join_buffer_size": 1 * MB if use == "queries" else 256 * 1024,
    }


def _machine(instance: Instance) -> tuple[int, int, int]:
    machine = instance.machine
    return machine.ram_bytes, max(machine.cpus, 1), machine.disk_bytes
