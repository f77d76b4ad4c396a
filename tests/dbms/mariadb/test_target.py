"""What MariaDB does to its own variables, and that all of it is undone."""

from __future__ import annotations

import json
import os
import signal
import threading
from dataclasses import replace

import pytest

from tunekit.errors import InvalidArgument
from tunekit_integrations.dbms.mariadb.connection import connected
from tunekit_integrations.dbms.mariadb.target import open_mariadb
from tunekit_integrations.dbms.records import ApplyMode, Clamp, FailureKind, TargetFailure

pytestmark = [pytest.mark.mariadb, pytest.mark.xdist_group("mariadb")]

_OF_THE_SESSION = ("TIMESTAMP", "RAND_SEED1", "PSEUDO_THREAD_ID", "GTID_BINLOG_POS")


def all_variables(target):
    with connected(target.url) as connection:
        rows = connection.rows(
            "SELECT VARIABLE_NAME, GLOBAL_VALUE FROM information_schema.SYSTEM_VARIABLES"
        )
    return {name: text for name, text in rows if name not in _OF_THE_SESSION}


def values(target):
    return {name: there.value for name, there in target.in_force().items()}


def run(target, statement):
    with connected(target.url) as connection:
        return connection.rows(statement)


@pytest.fixture
def fresh(target):
    """The server, with its own configuration back at the end."""
    snapshot = target.snapshot()
    yield target
    target.revert(snapshot)


def test_after_a_revert_every_variable_of_the_server_is_as_it_was(fresh):
    before, snapshot = all_variables(fresh), fresh.snapshot()
    fresh.apply({"innodb_io_capacity_max": 150, "innodb_io_capacity": 120})
    fresh.apply({"innodb_max_dirty_pages_pct": 40.0, "innodb_max_dirty_pages_pct_lwm": 30.0})
    fresh.apply({"innodb_log_buffer_size": 32, "tmp_table_size": 8, "optimizer_switch_mrr": True})
    fresh.revert(snapshot)
    assert all_variables(fresh) == before


def test_a_pair_that_the_server_moves_together_ends_as_it_was_asked_for(fresh):
    # To set the capacity alone raises the maximum, and to set the maximum alone lowers the
    # capacity: whichever comes first.
    settings = {"innodb_io_capacity": 9000, "innodb_io_capacity_max": 9500}
    assert fresh.apply(settings).clamped == ()
    assert fresh.apply({"innodb_io_capacity_max": 300}).clamped == ()
    assert values(fresh)["innodb_io_capacity"] == 200


def test_a_temporary_table_is_as_large_as_its_cap_whatever_the_server_shows(fresh):
    run(fresh, "SET GLOBAL tmp_table_size = 1073741824")
    assert fresh.in_force()["tmp_table_size"].value == 16
    check = fresh.check({"tmp_table_size": 64})
    assert check.errors == ("tmp_table_size <= max_heap_table_size does not hold.",)
    assert fresh.check({"tmp_table_size": 64, "max_heap_table_size": 64}).is_ok


def test_a_value_that_the_server_cuts_to_the_one_in_force_is_no_change(fresh):
    there = fresh.in_force()["read_buffer_size"]  # of blocks of 4096 bytes
    assert there.value == 128 and there.is_same(131) and not there.is_same(132)
    assert fresh.check({"read_buffer_size": 131}).unchanged == ("read_buffer_size",)
    assert fresh.check({"read_buffer_size": 127}).unchanged == ()


def test_a_value_that_the_server_cuts_is_reported(fresh):
    assert fresh.apply({"innodb_old_blocks_pct": 50}).clamped == ()
    assert fresh.apply({"read_buffer_size": 9}).clamped == (Clamp("read_buffer_size", 9, 8),)


def test_what_a_change_takes_is_the_servers_own_word(fresh):
    # The catalogue says that the log's size takes a restart; from 10.9 on it does not.
    assert fresh.catalogue.knobs["innodb_log_file_size"].mode is ApplyMode.RESTART
    assert fresh.in_force()["innodb_log_file_size"].mode is ApplyMode.RELOAD
    pid = fresh.instance.pid
    assert fresh.apply({"innodb_log_file_size": 48}).effective == {"innodb_log_file_size": 48}
    assert fresh.instance.pid == pid


def test_only_a_knob_that_takes_a_restart_restarts_the_server(fresh):
    pid = fresh.instance.pid
    fresh.apply({"sort_buffer_size": 1024})
    assert fresh.instance.pid == pid
    fresh.apply({"innodb_log_buffer_size": 8, "sort_buffer_size": 1024})
    assert fresh.instance.pid != pid
    assert values(fresh)["sort_buffer_size"] == 1024


def test_memory_counts_the_buffers_of_every_session_and_is_refused_beyond_the_machine(fresh):
    one = fresh.check({"sort_buffer_size": 2048}).memory_bytes
    two = fresh.check({"sort_buffer_size": 4096}).memory_bytes
    assert two - one == 2 * 2048 * 1024  # of two clients
    ram_mb = fresh.instance.machine.ram_bytes // 2**20
    refused = fresh.check({"innodb_buffer_pool_size": int(0.85 * ram_mb)})
    assert "memory" in " ".join(refused.errors) or "ram" in " ".join(refused.errors)


def test_a_pool_grows_beyond_what_the_server_reserved_by_a_restart_only(programs):
    configuration = {"innodb_buffer_pool_size_max": "256M"}
    target = open_mariadb("mariadb", configuration=configuration)
    try:
        attached = open_mariadb(target.url)
        assert attached.in_force()["innodb_buffer_pool_size"].hi == 256
        assert "from 2 to 256" in attached.check({"innodb_buffer_pool_size": 300}).errors[0]
        # The server itself takes it with a warning.
        run(target, "SET GLOBAL innodb_buffer_pool_size = 314572800")
        assert values(target)["innodb_buffer_pool_size"] == 256
        assert target.check({"innodb_buffer_pool_size": 300}).needs_restart == (
            "innodb_buffer_pool_size",
        )
        pid = target.instance.pid
        assert target.apply({"innodb_buffer_pool_size": 300}).clamped == ()
        assert target.instance.pid != pid
    finally:
        target.close()


def test_an_attached_server_is_tuned_without_a_restart_and_rolled_back_by_another_process(fresh):
    before = all_variables(fresh)
    attached = open_mariadb(fresh.url)
    assert not attached.instance.is_private and not attached.instance.may_restart
    assert attached.instance.pid == fresh.instance.pid
    stored = json.dumps(attached.snapshot().to_dict())
    with pytest.raises(TargetFailure, match="takes a restart"):
        attached.apply({"innodb_log_buffer_size": 8})
    settings = {"sort_buffer_size": 512, "innodb_io_capacity": 500}
    assert "option_file=" in " ".join(attached.check(settings).warnings)
    attached.apply(settings)
    attached.close()

    second = open_mariadb(fresh.url)
    second.revert(type(attached.snapshot()).from_dict(json.loads(stored)))
    assert all_variables(fresh) == before
    assert second.clone() is None
    with pytest.raises(TargetFailure, match="not private"):
        second.crash()


def test_a_dead_server_is_brought_back_with_its_own_configuration(fresh):
    before, snapshot = all_variables(fresh), fresh.snapshot()
    fresh.apply({"innodb_log_buffer_size": 8, "sort_buffer_size": 512})
    os.kill(fresh.instance.pid, signal.SIGKILL)
    fresh._server._process._child.wait()
    assert fresh.health().startswith("the server does not answer")
    with pytest.raises(TargetFailure) as caught:
        fresh.in_force()
    assert caught.value.kind is FailureKind.LOST_CONNECTION
    assert "ready for connections" in caught.value.log
    fresh.revert(snapshot)
    assert fresh.health() == ""
    assert all_variables(fresh) == before


def test_a_frozen_server_is_ended_and_started(fresh, monkeypatch):
    from tunekit_integrations.dbms.mariadb import connection

    monkeypatch.setattr(connection, "CONNECT_TIMEOUT_S", 1)
    before, snapshot = all_variables(fresh), fresh.snapshot()
    os.kill(fresh.instance.pid, signal.SIGSTOP)
    assert fresh.health() != ""
    fresh.revert(snapshot)
    assert all_variables(fresh) == before


def test_an_attached_server_that_is_gone_is_no_success(fresh):
    attached = open_mariadb(fresh.url)
    snapshot = attached.snapshot()
    fresh._server.stop()
    with pytest.raises(TargetFailure) as caught:
        attached.revert(snapshot)
    assert caught.value.kind is FailureKind.LOST_CONNECTION
    fresh._server.start()
    attached.revert(snapshot)


def test_a_plan_changes_with_the_optimizer_and_not_with_costs(fresh):
    run(fresh, "CREATE TABLE IF NOT EXISTS t (a INT PRIMARY KEY, b INT, KEY (b))")
    run(fresh, "INSERT IGNORE INTO t SELECT seq, seq % 7 FROM seq_1_to_2000")
    queries = {"join": "SELECT count(*) FROM t x JOIN t y ON x.b + 1 = y.b + 1 WHERE x.a < 50"}
    plain = fresh.plan_signature(queries)
    run(fresh, "INSERT IGNORE INTO t SELECT seq, seq % 7 FROM seq_2001_to_4000")
    run(fresh, "ANALYZE TABLE t")
    assert fresh.plan_signature(queries) == plain
    fresh.apply({"join_cache_level": 0})
    assert fresh.plan_signature(queries) != plain
    with pytest.raises(TargetFailure) as caught:
        fresh.plan_signature({"bad": "SELECT * FROM no_such_table"})
    assert caught.value.kind is FailureKind.INVALID


def test_a_private_server_is_reached_by_no_network_and_runs_as_no_root(fresh):
    assert run(fresh, "SELECT @@skip_networking") == [(1,)]
    with open(f"/proc/{fresh.instance.pid}/status") as file:
        uids = next(line for line in file if line.startswith("Uid:")).split()[1:]
    assert "0" not in uids or os.getuid() != 0


def test_nothing_is_left_of_a_private_server(programs):
    target = open_mariadb("mariadb")
    folder, pid = target._server.folder, target.instance.pid
    target.close()
    target.close()
    assert not folder.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_the_rules_of_thumb_pass_the_check_of_the_server(fresh):
    from tunekit_integrations.dbms.formulas import formula

    for use in ("queries", "transactions"):
        settings = formula(fresh.catalogue, fresh.in_force(), fresh.instance, clients=2, use=use)
        assert settings["innodb_flush_neighbors"] == "0"
        assert fresh.check(settings).errors == ()


@pytest.fixture
def operator(fresh, tmp_path):
    """Somebody who restarts the server when a command asks for it; gives the command."""
    ask, told = tmp_path / "ask", tmp_path / "told"
    os.mkfifo(ask)
    os.mkfifo(told)

    def serve():
        while ask.read_text() == "restart\n":
            fresh.restart()
            told.write_text("done\n")

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"sh -c 'echo restart > {ask}; cat {told}'"
    ask.write_text("end\n")
    thread.join()


def test_an_attached_server_is_restarted_by_its_owners_command_and_gets_its_file_back(
    fresh, operator
):
    file = fresh._server.option_file
    file.unlink(missing_ok=True)
    before = all_variables(fresh)
    with pytest.raises(InvalidArgument, match="option_file="):
        open_mariadb(fresh.url, may_restart=True)
    options = {"may_restart": True, "restart_command": operator, "option_file": str(file)}
    attached = open_mariadb(fresh.url, **options)
    snapshot = attached.snapshot()
    pid = fresh.instance.pid
    settings = {"innodb_log_buffer_size": 8, "sort_buffer_size": 512}
    assert attached.apply(settings).effective == settings
    assert fresh.instance.pid != pid
    assert "innodb_log_buffer_size = 8388608" in file.read_text()
    fresh._server.kill()  # the machine crashed, and the server has not come back
    attached.revert(snapshot)
    assert not file.exists()
    assert all_variables(fresh) == before


def test_a_file_that_is_not_ours_is_never_overwritten(fresh, tmp_path):
    file = tmp_path / "my.cnf"
    file.write_text("[mysqld]\nport = 3306\n")
    with pytest.raises(InvalidArgument, match="was not written by tunekit"):
        open_mariadb(fresh.url, option_file=str(file))
    snapshot = fresh.snapshot()
    foreign = replace(snapshot, files={str(file): ""})
    with pytest.raises(TargetFailure, match="give option_file="):
        fresh.revert(foreign)
    assert file.read_text() == "[mysqld]\nport = 3306\n"


class Killing:
    """A workload under which the server dies, as the kernel ends it when memory runs out."""

    name, is_query_set, clients = "killing", False, 1

    def __init__(self, pid):
        self.pid = pid

    def run(self, url, *, seconds, deadline_s, seed):
        with connected(url) as connection:
            os.kill(self.pid, signal.SIGKILL)
            connection.rows("SELECT SLEEP(30)")


def test_a_server_that_dies_under_the_workload_is_a_failure_with_its_log(fresh):
    snapshot = fresh.snapshot()
    with pytest.raises(TargetFailure) as caught:
        fresh.measure(Killing(fresh.instance.pid), seconds=1, deadline_s=60, seed=0)
    assert caught.value.kind is FailureKind.LOST_CONNECTION
    assert "ready for connections" in caught.value.log
    fresh.revert(snapshot)
    assert fresh.health() == ""
