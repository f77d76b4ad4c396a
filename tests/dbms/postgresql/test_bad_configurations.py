"""Known bad configurations: refused beforehand, and survived where nothing refuses them."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

import pytest

from tunekit_integrations.dbms.catalogue import Knob, load_catalogue
from tunekit_integrations.dbms.postgresql import auto_conf
from tunekit_integrations.dbms.postgresql.target import PostgreSQLTarget
from tunekit_integrations.dbms.records import ApplyMode, FailureKind, TargetFailure

pytestmark = pytest.mark.postgres

INVALID, NO_START, OOM = FailureKind.INVALID, FailureKind.NO_START, FailureKind.OUT_OF_MEMORY
REAL = load_catalogue("postgresql")
RAM_KB = 4 * 2**20
STARTS = None

BAD = [
    # What ALTER SYSTEM takes, and the server does not start with.
    ({"huge_pages": "on"}, OOM, "huge_pages = 'on'"),
    ({"wal_level": "minimal"}, NO_START, "wal_level = 'minimal'"),
    ({"shared_preload_libraries": "no_such_library"}, NO_START, ""),
    ({"superuser_reserved_connections": 100}, NO_START, ""),
    ({"max_wal_size": 16}, NO_START, ""),
    ({"max_locks_per_transaction": 2147483647}, OOM, ""),
    # What the server refuses at once, and does not start with where a file says it.
    ({"shared_buffers": 10 * 2**30}, INVALID, "shared_buffers = '10TB'"),
    ({"max_connections": 262143}, INVALID, ""),
    ({"wal_buffers": 64 * 2**20}, INVALID, "wal_buffers = '64GB'"),
    ({"max_worker_processes": 262143}, INVALID, ""),
    ({"work_mem": -5}, INVALID, ""),
    ({"wal_compression": "gzip"}, INVALID, ""),
    ({"no_such_knob": 1}, INVALID, ""),
    # What starts without a word.
    ({"shared_buffers": RAM_KB * 85 // 100}, STARTS, ""),
    ({"random_page_cost": 1e308}, STARTS, ""),
    ({"max_wal_size": 2147483647}, STARTS, ""),
    ({"autovacuum_naptime": 2147483}, STARTS, ""),
]
IDS = [",".join(f"{n}={v}" for n, v in settings.items()) for settings, _, _ in BAD]


def unwary(name: str, value: object) -> Knob:
    """Return an entry that a careless author of a catalogue would write."""
    there = REAL.knobs.get(name)
    unit = there.unit if there else ""
    if isinstance(value, str):
        choices = (value, "off", "try", "", "replica", "pglz")
        return Knob(name, "enum", choices=choices, mode=ApplyMode.RESTART, why="careless")
    kind, limits = there.kind if there else "int", {"lo": ("0",), "hi": ("1e308",)}
    return Knob(name, kind, unit=unit, special=(-5,), why="careless", **limits)


CARELESS = replace(
    REAL,
    knobs={n: unwary(n, v) for settings, _, _ in BAD for n, v in settings.items()},
    constraints=(),
    closed=(),
)


@pytest.fixture(scope="module", params=[15, 18])
def careful(request, servers):
    return PostgreSQLTarget(servers(request.param), ram_bytes=RAM_KB * 1024, clients=2)


@pytest.fixture
def careless(careful):
    """The same server with a catalogue that refuses nothing, and no limit of memory."""
    made = PostgreSQLTarget(careful._server, catalogue=CARELESS, clients=1)
    yield made
    made._session.close()


def values(target):
    return {name: there.value for name, there in target.in_force().items()}


@pytest.mark.parametrize(("settings", "kind", "text"), BAD, ids=IDS)
def test_a_bad_configuration_is_refused_before_anything_changes(careful, settings, kind, text):
    before = careful.snapshot()
    assert careful.check(settings).errors
    with pytest.raises(TargetFailure) as caught:
        careful.apply(settings)
    assert caught.value.kind is INVALID
    assert careful.snapshot() == before


@pytest.mark.parametrize(("settings", "kind", "text"), BAD, ids=IDS)
def test_a_bad_configuration_that_nothing_refuses_is_survived(
    careful, careless, settings, kind, text
):
    before, snapshot = values(careful), careless.snapshot()
    try:
        careless.apply(settings)
    except TargetFailure as failure:
        # 18 takes some that 15 refuses, and does not start with them.
        assert failure.kind in {kind, NO_START}, failure.message
        assert failure.kind is INVALID or failure.log
    else:
        # What a reload takes may keep the server from its next start all the same.
        assert kind in (STARTS, NO_START)
        with pytest.raises(TargetFailure) if kind else nullcontext():
            careless.restart()
        careless.revert(snapshot)
    assert careful.health() == ""
    assert values(careful) == before


@pytest.mark.parametrize(
    ("settings", "kind", "text"), [b for b in BAD if b[1] is not STARTS], ids=IDS[:13]
)
def test_a_server_that_a_file_keeps_from_starting_gets_its_configuration_back(
    careful, careless, settings, kind, text
):
    before, snapshot = values(careful), careless.snapshot()
    texts = {n: str(v) for n, v in settings.items()}
    texts |= auto_conf.read_settings(text)
    careful._server.stop()
    auto_conf.edit(careful._server.data_folder, texts)
    if "no_such_knob" in texts:
        snapshot = replace(snapshot, set_values={**snapshot.set_values, "no_such_knob": None})
    with pytest.raises(TargetFailure) as caught:
        careful.restart()
    assert caught.value.kind in (NO_START, OOM)
    assert caught.value.log
    careless.revert(snapshot)
    assert values(careful) == before
