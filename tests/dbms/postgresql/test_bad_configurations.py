"""Known bad configurations: refused beforehand, and survived where nothing refuses them."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

import pytest

from tests.dbms.postgresql.bad_configurations import (
    BAD,
    CARELESS,
    IDS,
    INVALID,
    NO_START,
    OOM,
    RAM_KB,
    STARTS,
)
from tunekit_integrations.dbms.postgresql import auto_conf
from tunekit_integrations.dbms.postgresql.target import PostgreSQLTarget
from tunekit_integrations.dbms.records import TargetFailure

pytestmark = pytest.mark.postgres


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
