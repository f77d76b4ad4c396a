"""A private server that is killed, frozen, or loses a process to the want of memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import psutil
import psycopg2
import pytest

from tests.dbms.conformance import values
from tunekit.testing.killable import wait_for
from tunekit_integrations.dbms.postgresql import target as module
from tunekit_integrations.dbms.postgresql.target import PostgreSQLTarget
from tunekit_integrations.dbms.records import FailureKind, TargetFailure

pytestmark = pytest.mark.postgres


@pytest.fixture
def target(servers):
    made = PostgreSQLTarget(servers(15), clients=2)
    yield made
    made._session.close()


class Killing:
    """A workload during which something happens to a process of the server."""

    name, is_query_set, clients = "killing", True, 1

    def __init__(self, act):
        self._act = act

    def run(self, url, **_):
        connection = psycopg2.connect(url)
        try:
            self._act(connection.info.backend_pid)
            connection.cursor().execute("SELECT pg_sleep(600)")
        except psycopg2.Error as error:
            raise TargetFailure(FailureKind.LOST_CONNECTION, str(error)) from None
        finally:
            connection.close()


def test_a_process_that_the_system_killed_tells_of_memory(target):
    with pytest.raises(TargetFailure) as caught:
        kill = Killing(lambda pid: os.kill(pid, signal.SIGKILL))
        target.measure(kill, seconds=1, deadline_s=5, seed=0)
    assert caught.value.kind is FailureKind.OUT_OF_MEMORY
    assert "terminated by signal 9" in caught.value.log
    target.restart()
    assert target.health() == ""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
def test_a_server_that_is_gone_in_a_trial_is_there_again_with_its_default(
    target, number, monkeypatch
):
    monkeypatch.setattr(module, "ALIVE_S", 0.3)
    before, snapshot = values(target), target.snapshot()
    target.apply({"work_mem": 8192, "shared_buffers": 65536})
    os.kill(target.instance.pid, number)
    if number == signal.SIGSTOP:
        target._session.close()  # sessions that are open already go on without the postmaster
    target.revert(snapshot)
    assert target.health() == ""
    assert values(target) == before


def test_a_frozen_server_restarts(target, monkeypatch):
    monkeypatch.setattr(module, "ALIVE_S", 0.3)
    os.kill(target.instance.pid, signal.SIGSTOP)
    assert target.restart() >= 0
    assert target.health() == ""


def test_a_trial_on_a_dead_server_fails_and_leaves_one_that_lives(target):
    before = values(target)
    target.snapshot()
    target._server.kill()
    with pytest.raises(TargetFailure) as caught:
        target.apply({"work_mem": 8192})
    assert caught.value.kind in (FailureKind.LOST_CONNECTION, FailureKind.OUT_OF_MEMORY)
    assert target.health() == ""
    assert values(target) == before


OWNER = """
import sys
from tunekit_integrations.dbms.postgresql.target import PostgreSQLTarget
target = PostgreSQLTarget.provision(version=15)
print(target.instance.pid, flush=True)
sys.stdin.read()
"""


def test_no_server_outlives_a_tunekit_that_is_killed(target):
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    server = psutil.Process(int(owner.stdout.readline()))
    processes = [server, *server.children()]
    assert len(processes) > 3
    owner.kill()
    owner.communicate()
    wait_for(lambda: not any(_runs(p) for p in processes), "the server ends")


def _runs(process):
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
