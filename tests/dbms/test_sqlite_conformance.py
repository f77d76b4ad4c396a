"""SQLite obeys the rules of every target."""

from __future__ import annotations

import pytest

from tests.dbms.conformance import RULES, Case, brought_back
from tunekit_integrations.dbms.sqlite.demo import ShopWorkload
from tunekit_integrations.dbms.sqlite.target import open_sqlite


@pytest.fixture(scope="module")
def case():
    target = open_sqlite("sqlite")
    ShopWorkload(items=500).prepare(target.url)
    yield Case(
        target,
        one={"cache_size": 8192, "temp_store": "memory", "journal_mode": "wal"},
        other={"mmap_size": 64, "automatic_index": False},
        with_restart={"page_size": "8192"},
        refused=[
            {"cache_size": 2**31 - 1},
            {"cache_size": "8192"},
            {"cache_size": True},
            {"cache_size": 1.5},
            {"journal_mode": "off"},
            {"temp_store": 2},
            {"locking_mode": "exclusive"},
            {"CACHE_SIZE": 4096},
            {"cache_size = 1; DROP TABLE items": 1},
        ],
        durability={"synchronous": "off"},
        query="SELECT count(*) FROM items WHERE product = 3",
    )
    target.close()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_it_conforms(rule, case):
    with brought_back(case):
        rule(case)
