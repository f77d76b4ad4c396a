"""Configurations that are known to be bad: refused first, and survived where they get through."""

from __future__ import annotations

import pytest

from tunekit_integrations.dbms.mariadb.connection import connected
from tunekit_integrations.dbms.records import FailureKind, TargetFailure

pytestmark = [pytest.mark.mariadb, pytest.mark.xdist_group("mariadb")]

# As settings of knobs: what a tuner or a user might ask for.
REFUSED = [
    {"innodb_buffer_pool_size": 20_000_000},
    {"innodb_buffer_pool_size": "RAM"},
    {"innodb_log_file_size": 28 * 2**30},
    {"innodb_log_buffer_size": 2000},
    {"sort_buffer_size": 2**34},
    {"join_buffer_size": 2**40},
    {"tmp_table_size": 2**30, "max_heap_table_size": 2**30},
    {"key_buffer_size": 2**24},
    {"aria_pagecache_buffer_size": 60 * 2**10},
    {"innodb_read_io_threads": 999},
    {"innodb_purge_threads": 0},
    {"innodb_flush_method": "nosync"},
    {"innodb_page_size": 4},
    {"innodb_force_recovery": 6},
    {"innodb_checksum_algorithm": "none"},
    {"query_cache_size": 2**20},
    {"max_connections": 100_000},
]

# As options in the file, whichever way they got there: (option, whether the server starts).
WRITTEN = [
    ("innodb_buffer_pool_size = 60T", False),
    ("innodb_log_file_size = 900T", False),
    ("innodb_page_size = 4096", False),
    ("innodb_flush_method = nonsense", False),
    ("innodb_data_file_path = x", False),
    ("innodb_foo = 3", False),
    ("no_such_option = 1", False),
    ("optimizer_switch = foo=on", False),
    ("datadir = /nonexistent", False),
    ("innodb_temp_data_file_path = /x", False),
    ("character_set_server = nonsense", False),
    ("tmpdir = /nonexistent", False),
    ("default_storage_engine = nonsense", False),
    ("sort_buffer_size = 900G", True),
    ("table_open_cache = 1000000", True),
    ("join_cache_level = 99", True),
    ("innodb_io_capacity = 99999999999", True),
]


def all_variables(target):
    with connected(target.url) as connection:
        return dict(connection.rows("SHOW GLOBAL VARIABLES"))


@pytest.mark.parametrize("settings", REFUSED, ids=lambda settings: str(next(iter(settings))))
def test_it_is_refused_before_the_server_sees_it(target, settings):
    target.snapshot()
    pid, before = target.instance.pid, all_variables(target)
    assert target.check(settings).errors
    with pytest.raises(TargetFailure) as caught:
        target.apply(settings)
    assert caught.value.kind is FailureKind.INVALID
    assert target.instance.pid == pid
    assert before.items() - all_variables(target).items() <= {
        (name, text) for name, text in before.items() if name in ("timestamp", "rand_seed1")
    }


def survive(target, option, starts):
    snapshot, before = target.snapshot(), all_variables(target)
    target._server.option_file.write_text(f"[mysqld]\n{option}\n")
    try:
        target.restart()
        assert starts, f"{option}: the server started"
    except TargetFailure as failure:
        assert not starts, failure.message
        assert failure.kind in (FailureKind.NO_START, FailureKind.OUT_OF_MEMORY)
        assert failure.log
    target.revert(snapshot)
    assert target.health() == ""
    after = all_variables(target)
    changed = {name for name in before if before[name] != after[name]}
    assert changed <= {"timestamp", "rand_seed1"}


@pytest.mark.parametrize(("option", "starts"), [WRITTEN[0], WRITTEN[5], WRITTEN[15]])
def test_the_default_is_back_after_it(target, option, starts):
    survive(target, option, starts)


@pytest.mark.faults
@pytest.mark.parametrize(("option", "starts"), WRITTEN)
def test_the_default_is_back_after_each(target, option, starts):
    survive(target, option, starts)
