"""Search spaces that are made from a knob catalogue for one server."""

from __future__ import annotations

import pytest

from tunekit.errors import InvalidArgument
from tunekit_integrations.dbms.capped import capped
from tunekit_integrations.dbms.catalogue import load_catalogue
from tunekit_integrations.dbms.constraints import broken_constraints
from tunekit_integrations.dbms.records import ApplyMode, InForce, Machine
from tunekit_integrations.dbms.space import space_for

CATALOGUE = load_catalogue("postgresql")
MACHINE = Machine(ram_bytes=8 * 2**30, cpus=4, disk_bytes=100 * 2**30)
SESSION, RESTART = ApplyMode.SESSION, ApplyMode.RESTART
IN_FORCE = {
    "shared_buffers": InForce(131072, 131072, RESTART, 128, 8589934584),
    "work_mem": InForce(1500, 4096, SESSION, 64, 2147483647),
    "random_page_cost": InForce(1.1, 4.0, SESSION, 0, 1.79e308),
    "seq_page_cost": InForce(1.0, 1.0, SESSION, 0, 1.79e308),
    "jit": InForce(True, True, SESSION),
    "jit_above_cost": InForce(100000.0, 100000.0, SESSION, -1, 1.79e308),
    "wal_compression": InForce("off", "off", SESSION, choices=("off", "pglz", "zstd")),
    "hash_mem_multiplier": InForce(2.0, 2.0, SESSION, 1, 1000),
    "max_parallel_workers_per_gather": InForce(2, 2, SESSION, 0, 1024),
    "temp_buffers": InForce(8192, 8192, SESSION, 800, 8589934584),
    "maintenance_work_mem": InForce(65536, 65536, SESSION, 64, 2147483647),
    "autovacuum_work_mem": InForce(-1, -1, ApplyMode.RELOAD, -1, 2147483647),
    "autovacuum_max_workers": InForce(3, 3, RESTART, 1, 262143),
    "fsync": InForce(True, True, ApplyMode.RELOAD),
}


def made(in_force=IN_FORCE, *, clients=4, **options):
    return space_for(CATALOGUE, in_force, machine=MACHINE, clients=clients, **options)


def test_the_point_that_all_is_compared_with_is_what_is_in_force():
    point = made(max_tier=2).space.default()
    assert point == {n: IN_FORCE[n].value for n in IN_FORCE if n != "fsync"}


@pytest.mark.parametrize(
    ("name", "value"),
    [("work_mem", 64), ("work_mem", 2**30), ("random_page_cost", 0.123456789012345678)],
)
def test_a_value_in_force_outside_of_the_range_is_kept_exactly(name, value):
    there = IN_FORCE | {name: InForce(value, value, SESSION, 0, 2e9)}
    assert made(there, only=[name]).space.default()[name] == value


def test_ranges_end_where_those_of_the_server_do():
    there = IN_FORCE | {"work_mem": InForce(4096, 4096, SESSION, 2048, 8192)}
    node = dict(made(there, only=["work_mem"]).space.nodes)["work_mem"]
    assert (node.lo, node.hi) == (2048, 8192)


def test_choices_that_the_server_was_not_built_with_are_left_out():
    node = dict(made(only=["wal_compression"]).space.nodes)["wal_compression"]
    assert node.choices == ("off", "pglz", "zstd")


def test_a_knob_that_the_server_lacks_is_left_out_with_the_reason():
    found = made(max_tier=2)
    assert "not known" in found.left_out["io_workers"]
    assert "io_workers" not in str(found.space)


def test_a_knob_without_effect_is_searched_below_the_one_that_it_needs():
    space = made(only=["jit", "jit_above_cost"]).space
    assert space.validate({"jit": False}) == {"jit": False}
    assert "jit_above_cost" in space.default()


def test_a_knob_whose_need_is_neither_searched_nor_met_is_left_out():
    there = IN_FORCE | {"jit": InForce(False, True, SESSION)}
    found = made(there, only=["jit_above_cost", "work_mem"])
    assert "no effect" in found.left_out["jit_above_cost"]


def test_knobs_that_take_a_restart_are_left_out_where_none_is_allowed():
    assert "restart" in made(may_restart=False).left_out["shared_buffers"]


def test_a_durability_knob_opens_by_its_name_only():
    assert "corrupt" in made(max_tier=2).left_out["fsync"]
    assert "fsync" in made(opened=["fsync"]).space.default()
    with pytest.raises(InvalidArgument, match="corrupt"):
        made(only=["fsync"])


@pytest.mark.parametrize("name", ["data_sync_retry", "port", "shared_preload_libraries"])
def test_nothing_opens_a_closed_knob(name):
    with pytest.raises(InvalidArgument, match="never tuned"):
        made(opened=[name])


def test_the_memory_of_all_sessions_stays_within_the_machine():
    space = made(only=["work_mem", "shared_buffers"]).space
    large = {"shared_buffers": 3 * 2**20, "work_mem": 400 * 2**10}
    broken = broken_constraints(large, CATALOGUE, IN_FORCE, machine=MACHINE, clients=4)
    assert "shared_buffers" in broken[0]
    with pytest.raises(Exception, match="does not hold"):
        space.validate(large)


def test_a_constraint_that_is_broken_already_does_not_forbid_what_is_in_force():
    there = IN_FORCE | {"random_page_cost": InForce(0.5, 4.0, SESSION, 0, 1.79e308)}
    space = made(there, only=["random_page_cost", "seq_page_cost"]).space
    assert space.default() == {"random_page_cost": 0.5, "seq_page_cost": 1.0}
    with pytest.raises(Exception, match="does not hold"):
        space.validate({"random_page_cost": 1.0, "seq_page_cost": 2.0})


def test_a_cap_limits_what_is_shown_across_units_and_chains():
    values = {"max_parallel_workers_per_gather": 9, "max_parallel_workers": 8}
    assert capped(values | {"max_worker_processes": 3}, CATALOGUE) == {
        "max_parallel_workers_per_gather": 3, "max_parallel_workers": 3, "max_worker_processes": 3,
    }  # fmt: skip
    limits = {"io_combine_limit": 1024, "io_max_combine_limit": 128}
    assert capped(limits, CATALOGUE)["io_combine_limit"] == 128


def test_every_knob_of_the_catalogue_says_what_it_does_and_none_is_closed():
    for name, knob in CATALOGUE.knobs.items():
        assert knob.why, name
        assert not CATALOGUE.is_closed(name), name
