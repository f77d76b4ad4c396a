"""Profiles describe workloads; their fingerprints ignore what changes without the workload."""

from __future__ import annotations

import json

import pytest

from tests.dbms.workloads.conftest import SCALE, tpch_url
from tunekit.errors import InvalidArgument
from tunekit_integrations.dbms.postgresql.activity import profile_workload
from tunekit_integrations.dbms.profile import METRICS, WorkloadProfile, profile_of
from tunekit_integrations.dbms.workloads.pgbench.workload import Pgbench
from tunekit_integrations.dbms.workloads.tpch.workload import TPCH

__all__ = ["tpch_url"]

QUERIES = {
    "a": "SELECT town, sum(x) FROM s.t WHERE x > 3 AND y BETWEEN 1 AND 2 GROUP BY town",
    "b": "SELECT * FROM t JOIN u ON t.i = u.i ORDER BY t.x",
    "c": "UPDATE t SET x = 1 WHERE i = 7",
    "d": "INSERT INTO t VALUES (1)",
}


def test_the_features_are_shares_of_executions() -> None:
    found = profile_of(QUERIES)
    assert (found.n_queries, found.read_ratio) == (4, 0.5)
    assert found.group_by_ratio == found.order_by_ratio == found.aggregation_ratio == 0.25
    assert found.predicates_per_query == (2 + 1 + 1 + 0) / 4
    weighted = profile_of(QUERIES, weights={"a": 3, "b": 3, "c": 1, "d": 1})
    assert (weighted.read_ratio, weighted.group_by_ratio) == (0.75, 0.375)


def test_queries_inside_of_others_count_once() -> None:
    nested = "SELECT 1 FROM t WHERE a = 1 AND b IN (SELECT c FROM u WHERE d = 2)"
    assert profile_of({"q": nested}).predicates_per_query == 3


def test_a_statement_that_changes_data_inside_of_a_query_is_no_read() -> None:
    sql = "WITH d AS (DELETE FROM t RETURNING *) SELECT count(*) FROM d"
    assert profile_of({"q": sql}).read_ratio == 0.0


def test_the_features_of_tpch_are_those_of_its_queries() -> None:
    found = profile_of(TPCH(scale=SCALE).queries())
    assert (found.n_queries, found.read_ratio) == (22, 1.0)
    assert found.aggregation_ratio == 1.0  # q02 and q20 in their subqueries
    assert found.group_by_ratio == pytest.approx(16 / 22)
    assert found.order_by_ratio == pytest.approx(18 / 22)
    assert found.predicates_per_query > 5


def test_constants_names_order_and_scale_do_not_change_the_fingerprint() -> None:
    same = {"y": QUERIES["b"].lower(), "x": QUERIES["a"].replace("3", "99").replace("s.t", "t")}
    both = profile_of({"a": QUERIES["a"], "b": QUERIES["b"]})
    assert profile_of(same).fingerprint == both.fingerprint
    assert profile_of({**same, "z": QUERIES["c"]}).fingerprint != both.fingerprint
    scales = {profile_of(TPCH(scale=scale).queries()).fingerprint for scale in (0.01, 0.1, 1)}
    assert len(scales) == 1
    assert profile_of(QUERIES, metrics={"active_sessions": 3}, data_bytes=9).fingerprint == (
        profile_of(QUERIES).fingerprint
    )


def test_similar_workloads_are_near_and_others_far() -> None:
    small, large = (
        profile_of(TPCH(scale=s).queries(), data_bytes=int(s * 1e9)) for s in (0.01, 0.1)
    )
    writes = profile_of({"c": QUERIES["c"], "d": QUERIES["d"]}, data_bytes=10**7)
    assert small.distance(small) == 0.0
    assert small.distance(large) == large.distance(small) < 0.1
    assert small.distance(writes) > 3 * small.distance(large)
    assert small.distance(profile_of({}, system="mariadb")) == 1.0


def test_a_profile_comes_back_from_json_and_a_foreign_one_is_refused() -> None:
    found = profile_of(QUERIES, metrics={"active_sessions": 1.5})
    again = WorkloadProfile.from_dict(json.loads(json.dumps(found.to_dict())))
    assert again == found
    assert again.fingerprint == found.fingerprint
    with pytest.raises(InvalidArgument, match="read_ratio"):
        WorkloadProfile.from_dict({"system": "postgresql"})


@pytest.mark.postgres
def test_the_server_tells_how_much_a_workload_reads(tpch_url: str) -> None:
    found = profile_workload(tpch_url, TPCH(scale=SCALE))
    assert set(found.metrics) == set(METRICS)
    assert 0.5 < found.metrics["cache_hit_ratio"] <= 1.0
    assert found.metrics["logical_reads_per_s"] >= found.metrics["physical_reads_per_s"]
    assert found.metrics["rows_scanned_per_s"] > 0
    assert found.metrics["rows_inserted_per_s"] == found.metrics["rows_updated_per_s"] == 0
    assert 0 < found.metrics["active_sessions"] < 4
    assert found.data_bytes > 10**7


@pytest.mark.postgres
def test_the_server_tells_that_transactions_write(postgres_url: str) -> None:
    workload = Pgbench(scale=1, clients=2)
    workload.prepare(postgres_url)
    found = profile_workload(postgres_url, workload, seconds=1)
    assert found.metrics["rows_updated_per_s"] > found.metrics["rows_inserted_per_s"] > 0
    assert found.read_ratio < 0.9
    assert found.n_queries == 0
