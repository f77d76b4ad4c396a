"""The catalogue against servers of every version: a knob that one lacks never reaches it."""

from __future__ import annotations

import pytest

from tunekit_integrations.dbms.catalogue import load_catalogue
from tunekit_integrations.dbms.postgresql.target import PostgreSQLTarget
from tunekit_integrations.dbms.postgresql.values import MODES
from tunekit_integrations.dbms.records import ApplyMode, FailureKind, TargetFailure
from tunekit_integrations.dbms.space import choices_of, range_of, space_for

pytestmark = pytest.mark.postgres

CATALOGUE = load_catalogue("postgresql")


@pytest.fixture(scope="module")
def target(server):
    return PostgreSQLTarget(server)


@pytest.fixture(scope="module")
def rows(target):
    return target._configuration.rows(list(CATALOGUE.knobs))


def test_a_knob_is_there_exactly_in_the_versions_that_the_catalogue_names(target, rows):
    version = target.instance.version
    known = {name for name, knob in CATALOGUE.knobs.items() if knob.is_known_to(version)}
    assert set(rows) == known


def test_the_way_of_a_change_is_what_the_server_says(target, rows):
    for name, there in target.in_force().items():
        assert there.mode is MODES[rows[name].context], name


def test_the_catalogue_errs_in_the_way_of_a_change_only_where_versions_differ(target, rows):
    differing = {
        name for name, row in rows.items() if MODES[row.context] is not CATALOGUE.knobs[name].mode
    }
    is_new = target.instance.version >= (18,)
    assert differing == ({"autovacuum_max_workers"} if is_new else set())


def test_ranges_and_choices_lie_within_what_the_server_takes(target, rows):
    machine = target.instance.machine
    for name, there in target.in_force().items():
        knob = CATALOGUE.knobs[name]
        if knob.kind in ("int", "float"):
            assert there.lo is not None and there.hi is not None, name
            bounds = range_of(knob, there, machine, 8)
            assert bounds is not None, name
            assert there.lo <= bounds[0] < bounds[1] <= there.hi, name
        elif knob.kind == "enum":
            assert len(choices_of(knob, there)) >= 2, name
            assert set(choices_of(knob, there)) <= set(rows[name].enumvals or ()), name


def test_no_knob_is_searched_on_the_servers_own_bounds(target):
    in_force = target.in_force()
    space = space_for(
        CATALOGUE, in_force, machine=target.instance.machine, clients=8, max_tier=2
    ).space
    names = {p.path for p in space.parameters}
    assert names <= set(in_force)
    for p in space.parameters:
        there = in_force[p.path]
        if there.hi is not None and there.hi > 1e6:
            assert p.domain.hi < there.hi / 2, p.path


def test_a_knob_of_another_version_never_reaches_the_server(target, rows):
    log = target._server.folder / "server.log"
    start = log.stat().st_size
    foreign = [*sorted(set(CATALOGUE.knobs) - set(rows)), "checkpoint_segments", "old_knob"]
    values = {"int": 1, "float": 1.0, "bool": True, "enum": "worker"}
    for name in foreign:
        knob = CATALOGUE.knobs.get(name)
        settings = {"work_mem": 8192, name: values[knob.kind if knob else "int"]}
        assert any(name in error for error in target.check(settings).errors)
        with pytest.raises(TargetFailure) as caught:
            target.apply(settings)
        assert caught.value.kind is FailureKind.INVALID
    sent = [line for line in log.read_text()[start:].splitlines() if "ALTER SYSTEM" in line]
    assert not any(name in line for line in sent for name in foreign)
    assert not any("work_mem" in line for line in sent)  # refused as a whole


def test_a_choice_that_the_server_was_not_built_with_never_reaches_it(target):
    there = target.in_force()
    if "io_method" in there:
        assert "io_uring" not in there["io_method"].choices  # neither was this package
        with pytest.raises(TargetFailure, match="io_method"):
            target.apply({"io_method": "io_uring"})
    if "jit" not in target.instance.features:
        assert not {"jit", "jit_above_cost"} & set(there)


def test_a_pair_that_caps_itself_is_seen_through(target):
    there = target.in_force()
    if "io_max_combine_limit" in there:
        run = target._session.run
        run("ALTER SYSTEM SET io_combine_limit = '1MB'")  # behind the back of the check
        target._configuration.reload()
        assert run("SHOW io_combine_limit") == [("1MB",)]
        most = target.in_force()["io_max_combine_limit"].value
        assert target.in_force()["io_combine_limit"].value == most == 128
        run("ALTER SYSTEM RESET io_combine_limit")
        target._configuration.reload()
    assert "caps" in target.check({"max_parallel_workers": 1}).warnings[0]
    applied = target.apply({"max_parallel_workers": 1})
    assert applied.effective == {"max_parallel_workers": 1}
    assert target.in_force()["max_parallel_workers_per_gather"].value == 1
    target.apply({})


def test_words_such_as_minus_one_are_neither_scaled_nor_taken_for_what_they_stand_for(target):
    assert target.in_force()["wal_buffers"].value == -1
    settings = {"wal_buffers": 8192, "autovacuum_work_mem": 65536}
    assert target.apply(settings).effective == settings
    assert target.in_force()["autovacuum_work_mem"].mode is ApplyMode.RELOAD
    target.apply({})
    assert target.in_force()["wal_buffers"].value == -1
    assert target.in_force()["autovacuum_work_mem"].value == -1


def test_what_the_server_chose_itself_is_in_force(target):
    assert target.in_force()["wal_buffers"].chosen == 4096
    assert target.check({"wal_buffers": 4096}).unchanged == ("wal_buffers",)
    assert target.apply({"wal_buffers": 4096}).clamped == ()


def test_steps_of_the_server_are_no_clamping(target):
    applied = target.apply({"shared_buffers": 65531})
    assert applied.effective == {"shared_buffers": 65528}
    assert applied.clamped == ()
    assert target.check({"shared_buffers": 65530}).unchanged == ("shared_buffers",)
    target.apply({})
