"""Servers that somebody else runs: nothing is restarted unasked, and all is brought back."""

from __future__ import annotations

import os
import signal
import stat
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg2
import pytest

from tests.dbms.conformance import values
from tunekit.errors import InvalidArgument
from tunekit.testing.postgres import PostgresServer, find_binaries, running_server
from tunekit_integrations.dbms.postgresql import auto_conf
from tunekit_integrations.dbms.postgresql.target import PostgreSQLTarget, open_postgresql
from tunekit_integrations.dbms.records import FailureKind, TargetFailure

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def theirs():
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server is installed")
    with running_server(binaries) as server:
        yield server


@pytest.fixture
def attached(theirs):
    with closing(PostgreSQLTarget.attach(theirs.url("postgres"))) as target:
        yield target


def restart_command(server: PostgresServer) -> str:
    program = f"{find_binaries()}/pg_ctl"
    as_user = "runuser -u postgres -- " if os.getuid() == 0 else ""
    options = (
        f"-p {server.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
    )
    return f"{as_user}{program} -D {folder_of(server)} -o '{options}' -l /dev/null -w restart"


def folder_of(server: PostgresServer) -> Path:
    return server._data


def run(server: PostgresServer, statement: str) -> None:
    server._execute(statement)


def test_its_files_are_found_and_it_is_never_restarted_unasked(theirs, attached):
    instance = attached.instance
    assert instance.pid == theirs.pid
    assert not instance.is_private and not instance.may_restart
    assert "restart" in attached.check({"shared_buffers": 65536}).errors[0]
    with pytest.raises(TargetFailure) as caught:
        attached.apply({"shared_buffers": 65536})
    assert caught.value.kind is FailureKind.INVALID
    with pytest.raises(TargetFailure, match="may not be restarted"):
        attached.restart()
    with pytest.raises(TargetFailure, match="private"):
        attached.crash()
    assert attached.clone() is None
    assert theirs.pid == instance.pid


def test_what_the_user_had_set_is_there_again_after_all(theirs, attached):
    run(theirs, "ALTER SYSTEM SET work_mem = '5MB'")
    run(theirs, "ALTER SYSTEM SET log_statement = 'ddl'")
    run(theirs, "SELECT pg_reload_conf()")
    before = auto_conf.read_settings((folder_of(theirs) / auto_conf.FILE).read_text())
    snapshot = attached.snapshot()
    attached.apply({"work_mem": 16384, "random_page_cost": 2.0})
    attached.revert(snapshot)
    attached.close()
    after = auto_conf.read_settings((folder_of(theirs) / auto_conf.FILE).read_text())
    assert after == before == {"work_mem": "5MB", "log_statement": "ddl"}
    run(theirs, "ALTER SYSTEM RESET ALL")
    run(theirs, "SELECT pg_reload_conf()")


def test_with_a_command_settings_that_take_a_restart_are_applied(theirs):
    target = PostgreSQLTarget.attach(theirs.url("postgres"), restart=restart_command(theirs))
    with closing(target):
        before, snapshot = values(target), target.snapshot()
        assert target.apply({"shared_buffers": 65536}).pending_restart == ()
        assert values(target)["shared_buffers"] == 65536
        target.revert(snapshot)
        assert values(target) == before
    assert theirs.pid


def test_a_command_that_fails_is_told_with_its_words(theirs):
    target = PostgreSQLTarget.attach(theirs.url("postgres"), restart="ls /no/such/folder")
    with closing(target), pytest.raises(TargetFailure) as caught:
        target.restart()
    assert caught.value.kind is FailureKind.NO_START
    assert "/no/such/folder" in caught.value.log


@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_dead_server_gets_its_configuration_back_in_a_new_process(theirs, is_restarted):
    with closing(PostgreSQLTarget.attach(theirs.url("postgres"))) as target:
        snapshot = target.snapshot()
        target.apply({"work_mem": 16384})
    theirs.stop()
    auto_conf.edit(folder_of(theirs), {"shared_buffers": "10TB"})  # it would not start
    command = restart_command(theirs) if is_restarted else None
    with closing(open_postgresql(theirs.url("postgres"), restart=command)) as target:
        target.revert(snapshot)
        target.revert(snapshot)
    text = (folder_of(theirs) / auto_conf.FILE).read_text()
    assert auto_conf.read_settings(text) == {}
    assert (folder_of(theirs) / auto_conf.FILE).stat().st_uid == folder_of(theirs).stat().st_uid
    if not is_restarted:
        theirs.start()
    assert theirs.pid


def test_a_dead_server_on_another_machine_is_not_said_to_be_reverted(theirs, attached):
    snapshot = attached.snapshot()
    far = {**snapshot.identity, "data_directory": "/nowhere/data"}
    with closing(PostgreSQLTarget.attach("postgresql://u@127.0.0.1:1/db")) as target:
        with pytest.raises(TargetFailure, match="not on this machine") as caught:
            target.revert(type(snapshot)("postgresql", far, snapshot.set_values))
        assert caught.value.kind is FailureKind.LOST_CONNECTION


def test_a_frozen_server_is_told_and_a_private_one_is_brought_back(theirs, monkeypatch):
    monkeypatch.setattr("tunekit_integrations.dbms.postgresql.target.ALIVE_S", 0.3)
    with closing(PostgreSQLTarget.attach(theirs.url("postgres"))) as target:
        assert target.health() == ""
        children = [int(pid) for pid in _children(theirs.pid)]
        for pid in (theirs.pid, *children):
            os.kill(pid, signal.SIGSTOP)
        try:
            assert "did not answer in time" in target.health()
        finally:
            for pid in (theirs.pid, *children):
                os.kill(pid, signal.SIGCONT)
        assert target.health() == ""


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def test_a_password_is_in_no_url_and_in_no_file_after_the_end(theirs):
    theirs.add_user("tuner", "se:cr\\et")
    url = f"postgresql://tuner:se%3Acr%5Cet@127.0.0.1:{theirs.port}/postgres"
    with closing(PostgreSQLTarget.attach(url)) as target:
        assert target.health() == ""
        assert "cr" not in target.url.replace("tunekit-secret", "")
        assert "cret" not in repr(target.snapshot())
        file = Path(parse_qs(urlsplit(target.url).query)["passfile"][0])
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        psycopg2.connect(target.url).close()  # what a workload does
    assert not file.exists()


@pytest.mark.parametrize("dsn", ["mysql://x", "postgresql://u@h:notaport/db", "nonsense"])
def test_an_address_of_something_else_is_refused(dsn):
    with pytest.raises((InvalidArgument, TargetFailure)):
        PostgreSQLTarget.attach(dsn).in_force()


GRANTS = """
CREATE ROLE least LOGIN;
GRANT pg_read_all_settings TO least;
GRANT ALTER SYSTEM ON PARAMETER work_mem, random_page_cost TO least;
GRANT SELECT ON pg_file_settings TO least;
GRANT EXECUTE ON FUNCTION pg_show_all_file_settings(), pg_reload_conf() TO least;
"""


def test_a_role_of_least_privilege_tunes_what_it_was_granted(theirs):
    for statement in GRANTS.strip().splitlines():
        run(theirs, statement)
    url = f"postgresql://least@127.0.0.1:{theirs.port}/postgres"
    with closing(PostgreSQLTarget.attach(url)) as target:
        before, snapshot = values(target), target.snapshot()
        applied = target.apply({"work_mem": 16384, "random_page_cost": 1.5})
        assert applied.clamped == ()
        with pytest.raises(TargetFailure, match="permission denied") as caught:
            target.apply({"work_mem": 32768, "cpu_tuple_cost": 0.02})
        assert caught.value.kind is FailureKind.INVALID
        assert values(target) == before
        target.revert(snapshot)


def test_what_a_role_overrides_is_reported_as_not_in_force(theirs, attached):
    run(theirs, "ALTER ROLE tunekit SET work_mem = '6MB'")
    try:
        with closing(PostgreSQLTarget.attach(theirs.url("postgres"))) as target:
            assert values(target)["work_mem"] == 6144
            snapshot = target.snapshot()
            (clamp,) = target.apply({"work_mem": 16384}).clamped
            assert (clamp.knob, clamp.asked, clamp.got) == ("work_mem", 16384, 6144)
            target.revert(snapshot)
    finally:
        run(theirs, "ALTER ROLE tunekit RESET work_mem")


def test_a_server_that_is_killed_is_a_lost_connection(theirs, attached):
    attached.snapshot()
    theirs.stop()
    try:
        with pytest.raises(TargetFailure) as caught:
            attached.apply({"work_mem": 16384})
        assert caught.value.kind is FailureKind.LOST_CONNECTION
        assert attached.health() != ""
    finally:
        theirs.start()
    assert attached.health() == ""
