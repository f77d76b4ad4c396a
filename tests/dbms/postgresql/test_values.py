"""Values between the catalogue and PostgreSQL, also of versions that no test can start."""

from __future__ import annotations

import sys

import pytest

from tunekit.errors import MissingExtra
from tunekit_integrations.dbms.catalogue import load_catalogue
from tunekit_integrations.dbms.postgresql.session import ReconnectingSession
from tunekit_integrations.dbms.postgresql.values import SettingRow, text_of
from tunekit_integrations.dbms.records import ApplyMode
from tunekit_integrations.dbms.space import choices_of

KNOBS = load_catalogue("postgresql").knobs


def setting(name, value, unit=None, vartype="integer", **others):
    own = {"context": "user", "min_val": "0", "max_val": "1000", "enumvals": None}
    own |= {"boot_val": value, "source": "configuration file", "pending_restart": False}
    return SettingRow(name, value, unit, vartype, **{**own, **others})


@pytest.mark.parametrize(
    ("row", "value"),
    [
        (setting("shared_buffers", "16384", "8kB"), 131072),
        (setting("work_mem", "1500", "kB"), 1500),
        (setting("max_wal_size", "1024", "MB"), 1024),
        (setting("min_wal_size", "5", "16MB"), 80),
        (setting("autovacuum_vacuum_cost_delay", "2", "ms", "real"), 2.0),
        (setting("autovacuum_vacuum_cost_delay", "-1", "ms", "real"), -1.0),
        (setting("checkpoint_timeout", "5", "min"), 300),
        (setting("commit_delay", "10"), 10),
        (setting("wal_buffers", "-1", "8kB"), -1),
        (setting("random_page_cost", "1e+100", None, "real"), 1e100),
        (setting("jit", "on", None, "bool"), True),
    ],
    ids=lambda x: x.name if isinstance(x, SettingRow) else repr(x),
)
def test_a_value_comes_in_the_unit_of_its_knob(row, value):
    found = row.in_force(KNOBS[row.name]).value
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("shared_buffers", 131072, "131072kB"),
        ("wal_buffers", -1, "-1"),
        ("effective_io_concurrency", 0, "0"),
        ("autovacuum_vacuum_cost_delay", 0.5, "0.5ms"),
        ("jit_above_cost", -1.0, "-1.0"),
        ("jit", False, "off"),
        ("io_method", "worker", "worker"),
        ("transaction_buffers", 200, "256kB"),
        ("transaction_buffers", 10, "128kB"),
    ],
)
def test_a_value_goes_with_its_unit_and_words_without(name, value, text):
    assert text_of(KNOBS[name], value) == text


def test_compression_was_a_switch_before_it_had_methods():
    old = setting("wal_compression", "off", None, "bool", min_val=None, max_val=None)
    there = old.in_force(KNOBS["wal_compression"])
    assert (there.value, there.choices) == ("off", ("off", "on"))
    assert choices_of(KNOBS["wal_compression"], there) == ["off", "on"]
    new = setting("wal_compression", "pglz", None, "enum", enumvals=["pglz", "lz4", "on", "off"])
    there = new.in_force(KNOBS["wal_compression"])
    assert choices_of(KNOBS["wal_compression"], there) == ["off", "pglz", "lz4"]


@pytest.mark.parametrize("context", ["postmaster", "sighup", "user", "superuser", "backend"])
def test_the_servers_word_on_a_change_wins(context):
    wanted = {"postmaster": ApplyMode.RESTART, "sighup": ApplyMode.RELOAD}
    wanted |= {"backend": ApplyMode.RELOAD}
    there = setting("work_mem", "4096", "kB", context=context).in_force(KNOBS["work_mem"])
    assert there.mode is wanted.get(context, ApplyMode.SESSION)


def test_a_statement_without_the_driver_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    with pytest.raises(MissingExtra, match=r"pip install 'tunekit-hpo\[knobs\]'"):
        ReconnectingSession("postgresql://nobody@localhost/none").run("SELECT 1")
