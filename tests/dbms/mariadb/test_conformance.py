"""MariaDB obeys the rules of every target."""

from __future__ import annotations

import pytest

from tests.dbms.conformance import RULES, Case, brought_back

pytestmark = [pytest.mark.mariadb, pytest.mark.xdist_group("mariadb")]


@pytest.fixture(scope="module")
def case(target):
    return Case(
        target,
        one={
            "sort_buffer_size": 4096,
            "innodb_buffer_pool_size": 192,
            "innodb_adaptive_hash_index": True,
            "innodb_flush_neighbors": "0",
            "optimizer_switch_mrr": True,
        },
        other={"innodb_max_dirty_pages_pct": 50.0, "join_cache_level": 6},
        with_restart={"innodb_log_buffer_size": 32, "innodb_flush_method": "fsync"},
        refused=[
            {"innodb_buffer_pool_size": 2**30},
            {"sort_buffer_size": "4M"},
            {"sort_buffer_size": True},
            {"sort_buffer_size": float("nan")},
            {"sort_buffer_size": 64.5},
            {"join_cache_level": 9},
            {"innodb_flush_neighbors": 1},
            {"innodb_flush_method": "O_DIRECT_NO_FSYNC"},
            {"innodb_adaptive_hash_index": "ON"},
            {"innodb_io_capacity": 3000},
            {"tmp_table_size": 64},
            {"innodb_log_buffer_size": 200},
            {"max_connections": 200},
            {"datadir": "/"},
            {"INNODB_IO_CAPACITY": 300},
            {"sort_buffer_size = 1; DROP DATABASE tunekit": 1},
            {"innodb_redo_log_capacity": 200},
        ],
        durability={"innodb_flush_log_at_trx_commit": "2"},
        query="SELECT * FROM mysql.user WHERE user = 'root'",
    )


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_it_conforms(rule, case):
    with brought_back(case):
        rule(case)
