"""The rules of thumb never ask for more memory than a machine has."""

from __future__ import annotations

import pytest

from tunekit_integrations.dbms.catalogue import load_catalogue
from tunekit_integrations.dbms.constraints import broken_constraints
from tunekit_integrations.dbms.formulas import GB, Use, formula
from tunekit_integrations.dbms.records import ApplyMode, InForce, Instance, Machine, Value

DEFAULTS: dict[str, Value] = {
    "shared_buffers": 131072,
    "work_mem": 4096,
    "hash_mem_multiplier": 2.0,
    "temp_buffers": 8192,
    "maintenance_work_mem": 65536,
    "autovacuum_work_mem": -1,
    "autovacuum_max_workers": 3,
    "max_parallel_workers": 8,
    "max_worker_processes": 8,
    "max_parallel_workers_per_gather": 2,
    "random_page_cost": 4.0,
    "seq_page_cost": 1.0,
}


@pytest.mark.parametrize("ram_gb", [2, 8, 23, 256])
@pytest.mark.parametrize("cpus", [2, 16, 64])
@pytest.mark.parametrize("use", ["queries", "transactions"])
def test_rules_of_thumb_keep_the_constraints_of_their_catalogue(
    ram_gb: int, cpus: int, use: Use
) -> None:
    catalogue = load_catalogue("postgresql")
    in_force = {n: InForce(v, v, ApplyMode.RELOAD) for n, v in DEFAULTS.items()}
    machine = Machine(ram_gb * GB, cpus, 100 * GB)
    instance = Instance("postgresql", (15, 18), machine)
    for clients in (1, 8):
        found = formula(catalogue, in_force, instance, clients=clients, use=use)
        assert found["shared_buffers"] == ram_gb * GB // 4 // 1024
        assert found["random_page_cost"] == 1.1
        assert not broken_constraints(found, catalogue, in_force, machine=machine, clients=clients)
