"""Statements are prepared once on each connection to PostgreSQL, and their plans stay good."""

import re
from collections.abc import Iterator

import pytest
from sqlalchemy import text

from tunekit.records import TrialRecord, TrialState
from tunekit.spaces import Params
from tunekit.storages.sql.postgresql import PostgreSQLDatabase
from tunekit.storages.sql.prepared import KEY, PreparedStatements, prepared
from tunekit.storages.sql.storage import SQLStorage
from tunekit.testing.storages.access import Access, tell

pytestmark = pytest.mark.postgres


@pytest.fixture
def database(postgres_url: str) -> Iterator[PostgreSQLDatabase]:
    database = PostgreSQLDatabase(postgres_url)
    yield database
    database.close()


@pytest.fixture
def access(database: PostgreSQLDatabase) -> Access:
    return Access(SQLStorage(database))


def run_trials(access: Access, n: int) -> None:
    for _ in range(n):
        lease = access.take()
        assert access.send(tell(lease)).statuses == ("ok",)


def statements(database: PostgreSQLDatabase) -> dict[str, int]:
    """Return how often each prepared statement of the only connection was executed."""
    query = "SELECT statement, generic_plans + custom_plans FROM pg_prepared_statements"
    with database.engine.connect() as connection:
        return {row[0]: row[1] for row in connection.execute(text(query))}


def test_a_statement_is_prepared_once_and_executed_by_name(
    access: Access, database: PostgreSQLDatabase
) -> None:
    run_trials(access, 5)
    before = statements(database)
    run_trials(access, 1)
    assert all(n > before[s] for s, n in statements(database).items() if "UPDATE" in s)
    assert any("UNION ALL" in s for s in before), "the search for a free trial is prepared too"


def test_a_parameter_keeps_one_position_and_an_array_its_type() -> None:
    made = prepared("INSERT INTO t SELECT unnest(CAST(%(a)s AS VARCHAR(16)[])), %(b)s, %(b)s")
    assert made.prepare.endswith("unnest(CAST($1 AS VARCHAR(16)[])), $2, $2")
    assert made.execute == f"EXECUTE {made.name}(%(a)s::VARCHAR(16)[], %(b)s)"


def test_a_pooler_that_changes_the_server_process_costs_one_retry(
    access: Access, database: PostgreSQLDatabase
) -> None:
    run_trials(access, 1)
    with database.engine.connect() as connection:
        connection.execute(text("DEALLOCATE ALL"))
        connection.commit()
    run_trials(access, 2)
    assert statements(database) == {}, "this connection uses plain statements from then on"
    assert len(access.trials()) == 3
    assert access.kinds() == ["claimed", "started", "told"] * 3


def test_a_server_process_that_knows_another_clients_statements_costs_one_retry(
    access: Access, database: PostgreSQLDatabase
) -> None:
    run_trials(access, 1)
    with database.engine.connect() as connection:
        connection.info[KEY] = PreparedStatements()  # as a new client behind a pooler has it
    run_trials(access, 2)
    assert access.kinds() == ["claimed", "started", "told"] * 3


def test_a_plan_from_an_empty_study_does_not_walk_through_a_long_one(
    access: Access, database: PostgreSQLDatabase, postgres_url: str
) -> None:
    run_trials(access, 8)  # the server keeps a plan after five uses
    other = SQLStorage(PostgreSQLDatabase(postgres_url))
    point = Params({"x": 1.0})
    done = TrialRecord(0, TrialState.COMPLETE, params=point, sampler="random", metrics={"loss": 1})
    other.add_trials(access.id, [done] * 5_000, {})
    other.close()
    run_trials(access, 1)
    with database.engine.connect() as connection:
        connection.execute(text("SET plan_cache_mode = force_generic_plan"))
        names = "SELECT name, statement FROM pg_prepared_statements WHERE statement LIKE :what"
        updates = connection.execute(text(names), {"what": "%UPDATE tk_trials%"}).all()
        assert len(updates) == 2, "of a start and a tell"
        for name, statement in updates:
            n = max(int(found) for found in re.findall(r"\$(\d+)", statement))
            plan = f"EXPLAIN EXECUTE {name}({', '.join(['NULL'] * n)})"
            lines = [row[0] for row in connection.execute(text(plan))]
            assert any("tk_trials_pkey" in line for line in lines), lines
