"""Sets of queries: weights, seeds, clients, deadlines, and servers that are lost or frozen."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import psutil
import pytest

from tunekit.errors import InvalidArgument
from tunekit.testing.postgres import PostgresServer
from tunekit_integrations.dbms.records import FailureKind, Measurement, TargetFailure
from tunekit_integrations.dbms.workloads.query_set import Query, QuerySet
from tunekit_integrations.dbms.workloads.session import APPLICATION, connect

pytestmark = pytest.mark.postgres


def _set(*texts: str, clients: int = 1, **options: bool) -> QuerySet:
    queries = {f"q{i}": Query(text) for i, text in enumerate(texts)}
    return QuerySet("mine", queries, clients=clients, **options)


def _run(workload: QuerySet, url: str, deadline_s: float = 60, seed: int = 0) -> Measurement:
    return workload.run(url, seconds=0, deadline_s=deadline_s, seed=seed)


def test_a_query_runs_as_often_as_its_weight_says(postgres_url: str) -> None:
    workload = QuerySet("mine", {"a": Query("SELECT 1", weight=3), "b": Query("SELECT 2")})
    found = _run(workload, postgres_url)
    assert found.units == 4
    assert set(found.latency_s) == {50, 95, 99}
    assert set(found.per_query) == {"a", "b"}
    assert workload.weights() == {"a": 3, "b": 1}


def test_the_seed_draws_the_order_of_the_queries(postgres_url: str) -> None:
    connection = connect(postgres_url)
    connection.cursor().execute("CREATE TABLE log (id serial, n int)")
    connection.close()
    texts = [f"INSERT INTO log (n) VALUES ({i})" for i in range(8)]
    for seed in (1, 1, 2):
        _run(_set(*texts, is_read_only=False), postgres_url, seed=seed)
    first, same, other = (_logged(postgres_url, k) for k in range(3))
    assert first == same != other
    assert sorted(other) == list(range(8))


def _logged(url: str, part: int) -> list[int]:
    connection = connect(url)
    cursor = connection.cursor()
    cursor.execute("SELECT n FROM log ORDER BY id LIMIT 8 OFFSET %s", (8 * part,))
    rows = [n for (n,) in cursor.fetchall()]
    connection.close()
    return rows


def test_clients_share_a_pass_and_work_at_the_same_time(postgres_url: str) -> None:
    # Each waits for the other: one client alone would never end.
    meet = (
        "SELECT pg_advisory_lock_shared({mine}), (SELECT count(*) FROM generate_series(1, 200)"
        " WHERE NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = {other})"
        " AND pg_sleep(0.01) IS NULL)"
    )
    texts = (meet.format(mine=1, other=2), meet.format(mine=2, other=1))
    found = _run(_set(*texts, clients=2), postgres_url)
    assert found.units == 2
    assert not found.is_censored


def test_sessions_that_only_read_cannot_change_data(postgres_url: str) -> None:
    with pytest.raises(TargetFailure, match="read-only") as caught:
        _run(_set("CREATE TABLE t (a int)"), postgres_url)
    assert caught.value.kind is FailureKind.INVALID


def test_a_pass_without_one_of_its_queries_is_a_failure_and_no_measurement(
    postgres_url: str,
) -> None:
    with pytest.raises(TargetFailure, match="does not exist") as caught:
        _run(_set("SELECT 1", "SELECT missing FROM missing"), postgres_url)
    assert caught.value.kind is FailureKind.INVALID


def test_a_slow_query_is_cancelled_at_the_deadline(postgres_url: str) -> None:
    found = _run(_set("SELECT pg_sleep(600)"), postgres_url, deadline_s=0.1)
    assert found.is_censored
    assert found.units == 0
    assert found.latency_s == {}
    assert found.per_query == {}


@pytest.fixture
def frozen(postgres_server: PostgresServer) -> Iterator[None]:
    """Freezes the backend of a workload as soon as it is seen to sleep."""
    caught: list[int] = []
    watch = connect(postgres_server.url("postgres"))

    def freeze() -> None:
        cursor = watch.cursor()
        while not caught:
            cursor.execute(
                "SELECT pid FROM pg_stat_activity WHERE application_name = %s"
                " AND wait_event = 'PgSleep'",
                (APPLICATION,),
            )
            for (pid,) in cursor.fetchall():
                os.kill(pid, signal.SIGSTOP)
                caught.append(pid)

    watcher = threading.Thread(target=freeze, daemon=True)
    watcher.start()
    yield
    watcher.join()
    for pid in caught:
        os.kill(pid, signal.SIGCONT)
    psutil.wait_procs([psutil.Process(pid) for pid in caught if psutil.pid_exists(pid)], 10)
    watch.close()


def test_a_frozen_server_holds_nobody_beyond_the_deadline(postgres_url: str, frozen: None) -> None:
    found = _run(_set("SELECT pg_sleep(60)"), postgres_url, deadline_s=2)
    assert found.is_censored


def test_a_server_that_is_killed_is_a_lost_connection(postgres_server: PostgresServer) -> None:
    url = postgres_server.url("postgres")
    failures: list[TargetFailure] = []

    def work() -> None:
        try:
            _run(_set("SELECT pg_sleep(600)"), url)
        except TargetFailure as failure:
            failures.append(failure)

    worker = threading.Thread(target=work)
    worker.start()
    watch = connect(url)
    cursor = watch.cursor()
    pids: list[tuple[int]] = []
    while not pids:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
            " AND application_name = %s",
            (APPLICATION,),
        )
        pids = cursor.fetchall()
    watch.close()
    postgres_server.restart()
    worker.join()
    assert [failure.kind for failure in failures] == [FailureKind.LOST_CONNECTION]


def test_a_server_that_is_not_there_is_a_lost_connection() -> None:
    with pytest.raises(TargetFailure) as caught:
        _run(_set("SELECT 1"), "postgresql://nobody@127.0.0.1:1/none")
    assert caught.value.kind is FailureKind.LOST_CONNECTION


def test_a_set_without_queries_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="at least one"):
        QuerySet("empty", {})
