"""sysbench: its report, and real runs on MariaDB and PostgreSQL."""

from __future__ import annotations

import os
import shutil

import pytest

from tunekit.errors import InvalidArgument
from tunekit_integrations.dbms.records import FailureKind, TargetFailure
from tunekit_integrations.dbms.workloads.sysbench import Sysbench, read_report

pytestmark = pytest.mark.xdist_group("mariadb")

REPORT = """
Latency histogram (values are in milliseconds)
       value  ------------- distribution ------------- count
       1.000 |****************************************  50
       2.000 |**                                        45
       3.500 |*                                         4
      80.000 |                                          1

SQL statistics:
    transactions:                        100    (49.10 per sec.)
    queries:                             2000   (982.00 per sec.)
    ignored errors:                      3      (0.00 per sec.)
    reconnects:                          0      (0.00 per sec.)

General statistics:
    total time:                          2.0366s
    total number of events:              100
"""


@pytest.fixture(scope="module")
def sysbench():
    if shutil.which("sysbench") is None:
        reason = "sysbench is not installed; install the package sysbench"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return Sysbench("read_write", tables=2, rows=500, clients=2)


@pytest.fixture(scope="module")
def mariadb():
    pytest.importorskip("pymysql")
    from tunekit_integrations.dbms.mariadb.target import open_mariadb

    try:
        target = open_mariadb("mariadb")
    except InvalidArgument as error:
        if os.environ.get("CI"):
            pytest.fail(error.message)
        pytest.skip(error.message)
    yield target
    target.close()


def test_a_report_gives_units_errors_and_percentiles():
    found = read_report(REPORT)
    assert (found.units, found.seconds, found.errors) == (100, 2.0366, 3)
    assert found.latency_s == {50: 0.001, 95: 0.002, 99: 0.0035}
    with pytest.raises(TargetFailure, match="no count of transactions"):
        read_report("sysbench 1.0.20\n")


def test_an_unknown_script_and_a_missing_program_are_refused():
    with pytest.raises(InvalidArgument, match='did you mean "read_write"'):
        Sysbench("read_writes")
    with pytest.raises(InvalidArgument, match="install the package sysbench"):
        Sysbench(program="no-such-sysbench")


@pytest.mark.mariadb
def test_a_slice_counts_transactions_and_the_servers_cpu_and_log(mariadb, sysbench):
    sysbench.prepare(mariadb.url)
    sysbench.warm(mariadb.url)
    found = mariadb.measure(sysbench, seconds=1, deadline_s=60, seed=1)
    assert found.units > 0 and not found.is_censored
    assert 0 < found.latency_s[50] <= found.latency_s[95] <= found.latency_s[99]
    assert found.cpu_seconds > 0 and found.wal_bytes > 0
    assert set(mariadb.plan_signature(sysbench.queries())) == set(sysbench.queries())


@pytest.mark.mariadb
def test_data_are_loaded_once_and_reset_only_where_the_script_writes(mariadb, sysbench):
    from tunekit_integrations.dbms.mariadb.connection import connected

    def ask(sql):
        with connected(mariadb.url) as connection:
            return connection.rows(sql)[0][0]

    sysbench.prepare(mariadb.url)
    with connected(mariadb.url) as connection:
        connection.rows("UPDATE sbtest1 SET pad = 'changed'")
    sysbench.prepare(mariadb.url)
    Sysbench("point_select", tables=2, rows=500).reset(mariadb.url)
    assert ask("SELECT COUNT(*) FROM sbtest1 WHERE pad = 'changed'") == 500
    sysbench.reset(mariadb.url)
    assert ask("SELECT COUNT(*) FROM sbtest1 WHERE pad = 'changed'") == 0
    Sysbench("read_write", tables=1, rows=500).prepare(mariadb.url)
    Sysbench("read_write", tables=1, rows=600).prepare(mariadb.url)
    assert ask("SELECT COUNT(*) FROM sbtest1") == 600
    sysbench.reset(mariadb.url)


@pytest.mark.mariadb
def test_a_slice_is_cut_off_at_its_deadline(mariadb, sysbench):
    sysbench.prepare(mariadb.url)
    found = sysbench.run(mariadb.url, seconds=600, deadline_s=0.5, seed=1)
    assert found.is_censored
    assert found.seconds < 300


@pytest.mark.mariadb
def test_a_server_that_is_gone_and_one_that_refuses_are_told_apart(mariadb, sysbench):
    sysbench.prepare(mariadb.url)
    gone = mariadb.url.replace("%2Fs", "%2Fnot-there")
    with pytest.raises(TargetFailure, match="sysbench failed") as caught:
        sysbench.run(gone, seconds=1, deadline_s=30, seed=1)
    assert caught.value.kind is FailureKind.LOST_CONNECTION
    with pytest.raises(TargetFailure) as caught:
        Sysbench(tables=3, rows=500).run(mariadb.url, seconds=1, deadline_s=30, seed=1)
    assert caught.value.kind is FailureKind.INVALID


@pytest.mark.mariadb
def test_a_password_is_in_no_argument_and_reaches_the_server(mariadb, sysbench, monkeypatch):
    from tunekit_integrations.dbms.mariadb.connection import connected
    from tunekit_integrations.dbms.mariadb.target import open_mariadb

    sysbench.prepare(mariadb.url)
    with connected(mariadb.url) as connection:
        connection.rows("CREATE USER 'me'@'localhost' IDENTIFIED BY 'p#ss \\'word'")
        connection.rows("GRANT ALL ON *.* TO 'me'@'localhost'")
    url = mariadb.url.replace("root@", "me:p%23ss%20%27word@")
    attached = open_mariadb(url)
    assert "word" not in attached.url
    assert attached.in_force()
    assert attached.measure(sysbench, seconds=1, deadline_s=60, seed=1).units > 0
    file = attached._server._secrets
    assert file.stat().st_mode & 0o777 == 0o600
    attached.close()
    assert not file.exists()

    monkeypatch.setenv("MYSQL_PWD", "wrong")
    with pytest.raises(TargetFailure, match="lets nobody in"):
        open_mariadb(mariadb.url.replace("root@", "me@")).in_force()


@pytest.mark.postgres
def test_it_runs_on_postgresql_too(sysbench):
    from tunekit_integrations.dbms.postgresql.target import PostgreSQLTarget

    try:
        target = PostgreSQLTarget.provision(clients=2)
    except InvalidArgument as error:
        pytest.skip(error.message)
    try:
        sysbench.prepare(target.url)
        sysbench.warm(target.url)
        assert target.measure(sysbench, seconds=1, deadline_s=60, seed=1).units > 0
    finally:
        target.close()
