"""What a server tells of a workload: plans, processor time, temporary files, log of changes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.dbms.workloads.conftest import SCALE
from tunekit.testing.postgres import PostgresServer
from tunekit_integrations.dbms.candidates import is_of_the_planner
from tunekit_integrations.dbms.postgresql.counters import (
    Counters,
    await_clients_gone,
    read_counters,
)
from tunekit_integrations.dbms.postgresql.plans import plan_digests
from tunekit_integrations.dbms.postgresql.session import ReconnectingSession
from tunekit_integrations.dbms.workloads.query_set import Query, QuerySet
from tunekit_integrations.dbms.workloads.tpch.workload import TPCH

pytestmark = pytest.mark.postgres
SORTED = "SELECT count(*) FROM (SELECT g FROM generate_series(1, 200000) g ORDER BY -g) s"


@pytest.fixture
def session(tpch_url: str) -> Iterator[ReconnectingSession]:
    """A session on the database with TPC-H, whose settings end with it."""
    made = ReconnectingSession(tpch_url)
    yield made
    made.close()


def _moved(session: ReconnectingSession, knob: str, value: str) -> set[str]:
    """Return the queries of TPC-H whose digest changes with a knob."""
    queries = TPCH(scale=SCALE).queries()
    before = plan_digests(session, queries)
    session.run(f"SET {knob} = '{value}'")
    after = plan_digests(session, queries)
    session.run(f"RESET {knob}")
    assert plan_digests(session, queries) == before
    return {name for name in queries if before[name] != after[name]}


def test_a_knob_that_changes_plans_changes_their_digests(session: ReconnectingSession) -> None:
    moved = _moved(session, "random_page_cost", "100")
    assert "q03" in moved
    assert _moved(session, "enable_hashjoin", "off")


def test_a_knob_that_changes_no_plan_changes_no_digest(session: ReconnectingSession) -> None:
    assert not _moved(session, "vacuum_cost_limit", "1000")
    assert not _moved(session, "random_page_cost", "4.0001")


def test_code_that_is_compiled_at_a_lower_cost_is_another_plan(
    session: ReconnectingSession,
) -> None:
    if session.run("SELECT pg_jit_available()") != [(True,)]:
        pytest.skip("this server was built without JIT")
    session.run("SET jit = on")
    assert _moved(session, "jit_above_cost", "1") > {"q01"}
    assert is_of_the_planner("postgresql", ["jit_above_cost", "random_page_cost"])
    assert not is_of_the_planner("postgresql", ["work_mem"])


def _used(workload: QuerySet, session: ReconnectingSession, url: str, pid: int | None) -> Counters:
    before = read_counters(session, pid)
    workload.run(url, seconds=0, deadline_s=60, seed=0)
    await_clients_gone(session)
    after = read_counters(session, pid)
    return Counters(
        (after.cpu_seconds or 0) - (before.cpu_seconds or 0),
        wal_bytes=after.wal_bytes - before.wal_bytes,
        temp_bytes=(after.temp_bytes or 0) - (before.temp_bytes or 0),
    )


def test_temporary_files_and_time_of_sessions_that_have_ended_count(
    postgres_server: PostgresServer, session: ReconnectingSession, tpch_url: str
) -> None:
    busy = QuerySet("sort", {"q": Query(SORTED, weight=5)})
    found = _used(busy, session, tpch_url, postgres_server.pid)
    assert found.temp_bytes >= 5 * 200_000 * 4
    # The session is gone: what it burnt is with the postmaster, and its sorts took a while.
    assert found.cpu_seconds is not None and found.cpu_seconds >= 0.05


def test_a_server_that_sleeps_uses_next_to_no_time(
    postgres_server: PostgresServer, session: ReconnectingSession, tpch_url: str
) -> None:
    idle = QuerySet("sleep", {"q": Query("SELECT pg_sleep(0.3)")})
    busy = QuerySet("sort", {"q": Query(SORTED, weight=5)})
    slept = _used(idle, session, tpch_url, postgres_server.pid)
    worked = _used(busy, session, tpch_url, postgres_server.pid)
    assert slept.cpu_seconds is not None and worked.cpu_seconds is not None
    assert slept.cpu_seconds < worked.cpu_seconds
    assert slept.temp_bytes == 0


def test_changes_are_counted_in_bytes_of_the_log(
    session: ReconnectingSession, tpch_url: str
) -> None:
    writes = QuerySet(
        "write",
        {"q": Query("CREATE TEMP TABLE t AS SELECT 1"), "w": Query("SELECT pg_switch_wal()")},
        is_read_only=False,
    )
    found = _used(writes, session, tpch_url, None)
    assert found.wal_bytes > 0


def test_the_time_of_a_server_elsewhere_is_not_known(session: ReconnectingSession) -> None:
    assert read_counters(session, None).cpu_seconds is None
