"""TPC-H answers as its specification says, is loaded once, and notices wrong results."""

from __future__ import annotations

from decimal import Decimal
from urllib.parse import quote

import psycopg2
import pytest

from tunekit.errors import InvalidArgument
from tunekit_integrations.dbms.workloads.session import connect
from tunekit_integrations.dbms.workloads.tpch.data import is_loaded, schema_of
from tunekit_integrations.dbms.workloads.tpch.workload import TPCH, tpch_queries

pytestmark = pytest.mark.postgres
SCALE = 0.01
ROWS = [4, 4, 10, 5, 5, 1, 4, 2, 173, 20, 0, 2, 33, 1, 1, 296, 1, 2, 1, 1, 1, 7]
"""Rows of each answer at this scale; those of q11 depend on the fraction, see below."""


def _answers(url: str, scale: float = SCALE) -> dict[str, list[tuple[object, ...]]]:
    connection = connect(url)
    try:
        found = {}
        with connection.cursor() as cursor:
            for name, query in tpch_queries(scale).items():
                cursor.execute(query.sql.replace(schema_of(scale), schema_of(SCALE)))
                found[name] = cursor.fetchall()
        return found
    finally:
        connection.close()


def test_all_queries_give_the_answers_of_another_implementation(tpch_url: str) -> None:
    """The figures are those that DuckDB publishes for dbgen's data at this scale."""
    # DuckDB keeps the fraction of scale factor 1 in q11.
    found = _answers(tpch_url, scale=1)
    assert [len(found[f"q{i:02}"]) for i in range(1, 23) if i != 11] == ROWS[:10] + ROWS[11:]
    assert found["q01"][0][2:6] == tuple(
        map(Decimal, ("380456.00", "532348211.65", "505822441.4861", "526165934.000839"))
    )
    assert found["q02"][0][:4:3] == (Decimal("4186.95"), 249)
    assert found["q03"][0][:2] == (47714, Decimal("267010.5894"))
    assert [row[1] for row in found["q04"]] == [93, 103, 109, 102, 128]
    assert found["q06"] == [(Decimal("1193053.2253"),)]
    assert found["q07"][2][3] == Decimal("621159.4882")
    assert found["q09"][0][2] == Decimal("97864.5682")
    assert found["q10"][0][:3] == (679, "Customer#000000679", Decimal("378211.3252"))
    assert len(found["q11"]) == 359
    assert found["q11"][0] == (1376, Decimal("13271249.89"))
    assert round(found["q14"][0][0], 6) == Decimal("15.486546")
    assert found["q15"][0][0] == 21
    assert [row[1] for row in found["q18"]] == [667, 178]
    assert found["q19"] == [(Decimal("22923.0280"),)]


def test_the_fraction_of_query_11_is_relative_to_the_scale() -> None:
    assert "* 0.0100000000" in tpch_queries(0.01)["q11"].sql
    assert "* 0.0001000000" in tpch_queries(1)["q11"].sql


def test_a_pass_runs_every_query_once_and_any_plan_gives_the_same_digests(tpch_url: str) -> None:
    workload = TPCH(scale=SCALE)
    default = workload.run(tpch_url, seconds=0, deadline_s=120, seed=0)
    options = quote("-c enable_hashjoin=off")
    other = workload.run(f"{tpch_url}?options={options}", seconds=0, deadline_s=120, seed=1)
    assert default.units == other.units == 22
    assert set(default.per_query) == set(default.digests) == set(workload.queries())
    assert not default.is_censored
    assert sum(default.per_query.values()) <= default.seconds
    assert other.digests == default.digests


def test_a_pass_that_is_cut_off_comes_back_censored_with_what_it_had(tpch_url: str) -> None:
    found = TPCH(scale=SCALE).run(tpch_url, seconds=0, deadline_s=0.05, seed=0)
    assert found.is_censored
    assert found.units == len(found.per_query) < 22


def test_the_tables_are_loaded_once_and_into_a_schema_of_their_own(tpch_url: str) -> None:
    marks = "SELECT min(xmin::text), count(*) FROM tunekit_tpch_0_01.nation"
    before = _one(tpch_url, marks)
    TPCH(scale=SCALE).prepare(tpch_url)
    assert _one(tpch_url, marks) == before
    assert _one(tpch_url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == (0,)
    assert _one(tpch_url, "SELECT count(*) FROM tunekit_tpch_0_01.lineitem") == (60175,)


def test_a_schema_that_a_broken_load_left_does_not_count_as_loaded(
    tpch_url: str, postgres_url: str
) -> None:
    _one(postgres_url, "CREATE SCHEMA tunekit_tpch_0_01")
    assert not is_loaded(postgres_url, SCALE)
    assert is_loaded(tpch_url, SCALE)  # the fixture began with such a schema


def test_the_digest_tells_a_query_that_answers_otherwise(tpch_url: str) -> None:
    workload = TPCH(scale=SCALE)
    default = workload.run(tpch_url, seconds=0, deadline_s=120, seed=0)
    change = "UPDATE tunekit_tpch_0_01.lineitem SET l_tax = l_tax {} WHERE l_orderkey = 1"
    _one(tpch_url, change.format("+ 1"))
    try:
        found = workload.run(tpch_url, seconds=0, deadline_s=120, seed=0)
    finally:
        _one(tpch_url, change.format("- 1"))
    differing = [n for n in default.digests if found.digests[n] != default.digests[n]]
    assert differing == ["q01"]


def test_a_scale_that_the_generator_rejects_is_refused() -> None:
    with pytest.raises(InvalidArgument, match=r"0\.01 or more"):
        TPCH(scale=0.001)


def _one(url: str, sql: str) -> object:
    connection = psycopg2.connect(url)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchone() if cursor.description else None
    finally:
        connection.close()
