"""Recorded statements are replayed with values of their columns, and nothing is changed."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pytest

from tunekit.errors import InvalidArgument
from tunekit_integrations.dbms.postgresql.target import PostgreSQLTarget
from tunekit_integrations.dbms.workloads.replay.parameters import (
    ColumnStatistics,
    NotReplayed,
    Placeholder,
    slots_of,
    with_casts,
)
from tunekit_integrations.dbms.workloads.replay.workload import MOST_OFTEN, StatementReplay
from tunekit_integrations.dbms.workloads.session import connect

pytestmark = pytest.mark.postgres

READS = {
    "SELECT count(*) FROM sold WHERE town = 'Ulm'": 8,
    "SELECT id FROM sold WHERE day BETWEEN date '2024-01-05' AND '2024-01-09' LIMIT 7": 4,
    "SELECT s.id FROM sold s JOIN towns t ON t.name = s.town WHERE t.size = ANY('{1}') "
    "AND s.id > 5": 2,
    "SELECT count(*) FROM towns": 1,
}
OTHERS = {
    "UPDATE sold SET town = 'Ulm' WHERE id = 1": "only read",
    "SELECT id FROM sold WHERE id = 3 FOR UPDATE": "only read",
    "SELECT date_trunc('month', day), count(*) FROM sold GROUP BY 1": "no column",
    "WITH d AS (DELETE FROM sold WHERE id = 2 RETURNING id) SELECT count(*) FROM d": "only read",
    "SELECT * FROM fresh WHERE a = 1": "no statistics",
}


@pytest.fixture(scope="module")
def recorded_url() -> Iterator[str]:
    """A database in which statements were recorded."""
    target = PostgreSQLTarget.provision(
        configuration={"shared_preload_libraries": "pg_stat_statements"}
    )
    try:
        connection = connect(target.url)
        cursor = connection.cursor()
        for statement in (
            "CREATE TABLE sold AS SELECT g AS id, (ARRAY['Ulm', 'Bonn', 'O''Hara'])[1 + g % 3]"
            " AS town, date '2024-01-01' + g % 28 AS day FROM generate_series(1, 3000) AS g",
            "CREATE TABLE towns AS SELECT name, 1 + length(name) % 2 AS size"
            " FROM unnest(ARRAY['Ulm', 'Bonn', 'O''Hara']) AS name",
            "CREATE TABLE fresh (a int)",
            "ANALYZE sold",
            "ANALYZE towns",
            "CREATE EXTENSION pg_stat_statements",
        ):
            cursor.execute(statement)
        for sql, times in {**READS, **dict.fromkeys(OTHERS, 1)}.items():
            for _ in range(times):
                cursor.execute(sql)
        connection.close()
        yield target.url
    finally:
        target.close()


def _sums(url: str) -> object:
    connection = connect(url)
    cursor = connection.cursor()
    cursor.execute("SET pg_stat_statements.track = none")
    cursor.execute("SELECT count(*), sum(id), min(xmin::text), max(xmin::text) FROM sold")
    found = cursor.fetchone()
    connection.close()
    return found


def test_statements_that_read_are_replayed_as_often_as_they_were_called(
    recorded_url: str,
) -> None:
    before = _sums(recorded_url)
    replay = StatementReplay(top=40)
    replay.prepare(recorded_url)
    queries = replay.queries()
    found = replay.run(recorded_url, seconds=0, deadline_s=60, seed=0)
    assert _sums(recorded_url) == before
    runs: dict[str, int] = {}
    for name, weight in replay.weights().items():
        statement = name.partition("/")[0]
        runs[statement] = runs.get(statement, 0) + weight
    assert sorted(runs.values()) == [1, 2, 4, 8]
    assert max(runs.values()) <= MOST_OFTEN
    assert found.units == 15
    assert 0 < replay.share < 1  # the others took some of the time
    towns = {t for sql in queries.values() for t in re.findall(r"town = ('[^:]*')::text", sql)}
    assert towns <= {"'Ulm'", "'Bonn'", "'O''Hara'"} and towns
    assert any("LIMIT 7" in sql for sql in queries.values())  # rows for each call
    assert not any("$" in sql for sql in queries.values())


def test_what_cannot_be_replayed_is_told_with_the_reason(recorded_url: str) -> None:
    replay = StatementReplay(top=40)
    replay.prepare(recorded_url)
    for sql, reason in OTHERS.items():
        begin = sql[:18]  # constants come later
        reasons = [why for text, why in replay.left_out.items() if text.startswith(begin)]
        assert any(reason in why for why in reasons), sql


def test_the_seed_draws_the_values(recorded_url: str) -> None:
    texts = []
    for seed in (1, 1, 2):
        replay = StatementReplay(top=40, seed=seed)
        replay.prepare(recorded_url)
        texts.append(replay.queries())
    assert texts[0] == texts[1] != texts[2]


def test_a_database_that_records_nothing_is_told(postgres_url: str) -> None:
    with pytest.raises(InvalidArgument, match="CREATE EXTENSION"):
        StatementReplay().prepare(postgres_url)


def test_parameters_are_found_beside_the_columns_of_their_own_query() -> None:
    sql = (
        "SELECT * FROM a WHERE x < $1::date AND EXISTS (SELECT FROM s.b AS c WHERE c.y = $2"
        " AND a.z IN ($3)) LIMIT $4"
    )
    assert slots_of(sql) == {
        1: Placeholder("a", "x"),
        2: Placeholder("s.b", "y"),
        3: Placeholder("a", "z"),
        4: Placeholder(),
    }
    with pytest.raises(NotReplayed, match=r"\$1 is compared with no column"):
        slots_of("SELECT $1 FROM a")
    with pytest.raises(NotReplayed, match="not understood"):
        slots_of("SELECT * FROM a WHERE (")


def test_typed_constants_become_casts() -> None:
    assert with_casts("x <= date $1 AND y = TIME $2") == "x <= $1::date AND y = $2::TIME"


def test_values_are_as_frequent_as_in_the_table() -> None:
    column = ColumnStatistics("text", ("a", "b"), (0.6, 0.3), ("c", "d"))
    rng = np.random.default_rng(0)
    drawn = [column.draw(rng) for _ in range(4000)]
    assert abs(drawn.count("a") / 4000 - 0.6) < 0.04
    assert abs(drawn.count("c") / 4000 - 0.05) < 0.02
