"""pgbench: slices, weights, seeds, failed transactions, and data that are reset."""

from __future__ import annotations

import os
import signal
import stat
import threading
from pathlib import Path

import pytest

from tunekit.errors import InvalidArgument
from tunekit.testing.postgres import PostgresServer, find_binaries
from tunekit_integrations.dbms.cli.targets import open_workload
from tunekit_integrations.dbms.records import FailureKind, TargetFailure
from tunekit_integrations.dbms.workloads.pgbench.log import read_log, transactions_per_second
from tunekit_integrations.dbms.workloads.pgbench.program import find_pgbench
from tunekit_integrations.dbms.workloads.pgbench.workload import Pgbench
from tunekit_integrations.dbms.workloads.session import APPLICATION, connect

pytestmark = pytest.mark.postgres


def _rows(url: str, sql: str) -> list[tuple[object, ...]]:
    connection = connect(url)
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def test_a_slice_counts_transactions_and_their_latencies_and_reset_undoes_them(
    postgres_url: str,
) -> None:
    workload = Pgbench(scale=1, clients=2)
    workload.prepare(postgres_url)
    workload.warm(postgres_url)
    found = workload.run(postgres_url, seconds=1, deadline_s=60, seed=1)
    booked = _rows(postgres_url, "SELECT count(*) FROM tunekit_pgbench.pgbench_history")
    assert booked == [(found.units,)]
    assert found.units > 0
    assert found.errors == 0
    assert not found.is_censored
    assert found.latency_s[50] <= found.latency_s[95] <= found.latency_s[99]
    # Two clients that never wait: their latencies fill the slice.
    assert found.latency_s[50] < 2 * found.seconds
    workload.prepare(postgres_url)
    assert _rows(postgres_url, "SELECT count(*) FROM tunekit_pgbench.pgbench_history") == booked
    workload.reset(postgres_url)
    assert _rows(postgres_url, "SELECT count(*) FROM tunekit_pgbench.pgbench_history") == [(0,)]
    assert _rows(postgres_url, "SELECT count(*) FROM pg_tables WHERE schemaname='public'") == [
        (0,)
    ]
    Pgbench({"select-only": 1}, scale=2).prepare(postgres_url)
    assert _rows(postgres_url, "SELECT count(*) FROM tunekit_pgbench.pgbench_branches") == [(2,)]


def test_scripts_of_ones_own_are_drawn_by_weight_and_seed(
    postgres_url: str, tmp_path: Path
) -> None:
    _rows(postgres_url, "CREATE TABLE drawn (id serial, script text, n int)")
    for name in ("often", "rare"):
        text = f"\\set n random(1, 1000000)\nINSERT INTO drawn (script, n) VALUES ('{name}', :n);"
        (tmp_path / f"{name}.sql").write_text(text)
    workload = Pgbench({str(tmp_path / "often.sql"): 9, str(tmp_path / "rare.sql"): 1}, clients=1)
    runs = []
    for seed in (1, 1, 2):
        _rows(postgres_url, "TRUNCATE drawn")
        workload.run(postgres_url, seconds=1, deadline_s=60, seed=seed)
        runs.append(_rows(postgres_url, "SELECT script, n FROM drawn ORDER BY id LIMIT 20"))
    assert runs[0] == runs[1] != runs[2]
    count = "SELECT count(*) FILTER (WHERE script = 'often') > 3 * count(*) / 4 FROM drawn"
    assert _rows(postgres_url, count) == [(True,)]
    assert workload.name == "pgbench often.sql + rare.sql"
    assert workload.queries() == {}


def test_a_script_that_the_server_refuses_is_a_failure(postgres_url: str, tmp_path: Path) -> None:
    script = tmp_path / "wrong.sql"
    script.write_text("SELECT missing FROM missing;")
    with pytest.raises(TargetFailure, match="does not exist") as caught:
        Pgbench({str(script): 1}).run(postgres_url, seconds=1, deadline_s=60, seed=0)
    assert caught.value.kind is FailureKind.INVALID


def test_a_transaction_that_does_not_end_is_cut_off_at_the_deadline(
    postgres_url: str, tmp_path: Path
) -> None:
    script = tmp_path / "slow.sql"
    script.write_text("SELECT pg_sleep(600);")
    found = Pgbench({str(script): 1}, clients=1).run(
        postgres_url, seconds=1, deadline_s=0.2, seed=0
    )
    assert found.is_censored
    assert found.units == 0


def test_a_server_that_is_killed_under_pgbench_is_a_lost_connection(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    url = postgres_server.url("postgres")
    script = tmp_path / "sleep.sql"
    script.write_text("SELECT pg_sleep(600);")
    failures: list[TargetFailure] = []

    def work() -> None:
        try:
            Pgbench({str(script): 1}).run(url, seconds=600, deadline_s=900, seed=0)
        except TargetFailure as failure:
            failures.append(failure)

    worker = threading.Thread(target=work)
    worker.start()
    sleeping = (
        "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        f" AND application_name = '{APPLICATION}'"
    )
    while not (pids := _rows(url, sleeping)):
        pass
    os.kill(int(str(pids[0][0])), signal.SIGKILL)
    worker.join()
    postgres_server.restart()
    assert [failure.kind for failure in failures] == [FailureKind.LOST_CONNECTION]


def test_the_program_is_the_one_beside_the_server(postgres_url: str) -> None:
    binaries = find_binaries()
    assert binaries is not None
    assert find_pgbench(postgres_url) == binaries / "pgbench"


def test_a_password_is_no_argument_of_the_program(postgres_url: str, tmp_path: Path) -> None:
    program = tmp_path / "pgbench"
    program.write_text(f'#!/bin/sh\necho "$@" "$PGPASSWORD" > {tmp_path}/seen\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    url = postgres_url.replace("tunekit@", "tunekit:open-sesame@")
    Pgbench({"select-only": 1}, program=program).run(url, seconds=1, deadline_s=9, seed=0)
    seen = (tmp_path / "seen").read_text()
    assert seen.count("open-sesame") == 1
    assert seen.endswith("open-sesame\n")


def test_failed_transactions_of_the_log_are_counted_and_cut_off_lines_are_not(
    tmp_path: Path,
) -> None:
    (tmp_path / "log.1").write_text("0 1 1500 0 1700000000 1\n0 2 serialization 0 1700000000 2\n")
    (tmp_path / "log.1.1").write_text("1 1 failed 0 1700000000 1\n1 2 skipped 0 1 1\n1 3 25")
    found = read_log(tmp_path)
    assert found.latencies_s == [0.0015]
    assert found.failed == 2


def test_the_rate_is_that_without_connecting() -> None:
    new = "initial connection time = 9 ms\ntps = 250.5 (without initial connection time)\n"
    old = "tps = 240.1 (including connections establishing)\ntps = 250.5 (excluding connections)\n"
    assert transactions_per_second(new) == transactions_per_second(old) == 250.5
    assert transactions_per_second("pgbench: error") is None


def test_a_script_that_does_not_exist_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="tpcb-like"):
        Pgbench({"tpcb-likely": 1})


def test_a_command_line_names_scripts_and_their_weights(tmp_path: Path) -> None:
    own = tmp_path / "mine@home.sql"
    own.write_text("SELECT 1;")
    workload = open_workload(f"pgbench:select-only@9,{own}", 3)
    assert workload.name == "pgbench select-only + mine@home.sql"
    assert workload.clients == 3
    assert open_workload("pgbench", None).name == "pgbench tpcb-like"
    assert open_workload(str(own), 2).name == "sql mine@home.sql"
    with pytest.raises(InvalidArgument, match="tpcb-like"):
        open_workload("pgbench:nothing@2", None)
