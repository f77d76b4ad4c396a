"""PostgreSQL 15 to 18 obey the rules of every target."""

from __future__ import annotations

import pytest

from tests.dbms.conformance import RULES, Case, brought_back
from tunekit_integrations.dbms.postgresql.target import PostgreSQLTarget

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def case(server):
    return Case(
        PostgreSQLTarget(server, clients=2),
        one={"work_mem": 8192, "random_page_cost": 1.25, "enable_partitionwise_join": True},
        other={"effective_cache_size": 7 * 2**20, "checkpoint_timeout": 600},
        with_restart={"shared_buffers": 65536, "wal_buffers": 1024},
        refused=[
            {"shared_buffers": 2**40},
            {"work_mem": "8MB"},
            {"work_mem": True},
            {"work_mem": float("nan")},
            {"work_mem": 8192.5},
            {"wal_compression": "gzip"},
            {"enable_partitionwise_join": "on"},
            {"max_wal_size": 28 * 2**30},
            {"random_page_cost": 1e308},
            {"random_page_cost": 1.0, "seq_page_cost": 2.0},
            {"max_connections": 200},
            {"data_directory": "/"},
            {"WORK_MEM": 8192},
            {"work_mem; DROP TABLE x": 1},
        ],
        durability={"fsync": False},
        query="SELECT * FROM pg_class WHERE oid = 1259",
        clients=2,
    )


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_it_conforms(rule, case):
    with brought_back(case):
        rule(case)
