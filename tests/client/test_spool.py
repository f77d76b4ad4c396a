"""Results of thin workers while the service is down, and after the worker was killed too."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

import tunekit as tk
import tunekit.client
from tunekit.client import trial as trial_module
from tunekit.records import TrialState
from tunekit.testing.killable import wait_for

WORKER = Path(__file__).with_name("spooling_worker.py")


class Server:
    """`tunekit serve` on a port that stays the same over restarts."""

    def __init__(self, database):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/vision"
        self.database = database
        self.start()

    def start(self):
        command = [sys.executable, "-m", "tunekit", "serve", "--no-accounts", "--storage"]
        words = [*command, self.database, "--port", str(self.port), "--log-level", "error"]
        self.process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
        while "tunekit serves" not in (line := self.process.stderr.readline()):
            assert line, "it ended"

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()


@pytest.fixture
def server(tmp_path):
    server = Server(f"sqlite:///{tmp_path}/team.db")
    yield server
    server.kill()


@pytest.fixture
def study(server):
    made = tk.study("s", space={"x": tk.Float(0, 1)}, storage=server.url, sampler="random")
    yield made
    made.storage.close()


def told(study):
    return Counter(e.number for e in study.storage.events(study.id) if e.kind == "told")


@pytest.mark.faults
def test_a_result_told_while_the_service_is_down_survives_the_kill_of_its_worker(
    server, study, tmp_path
):
    spool, gate = tmp_path / "spool", tmp_path / "gate"
    command = [sys.executable, str(WORKER), server.url, "s", str(spool), str(gate)]
    worker = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert worker.stdout.readline() == "asked 0\n"
    server.kill()
    gate.touch()
    while not list(spool.glob("*.json")):
        assert worker.poll() is None
    worker.send_signal(signal.SIGKILL)
    worker.communicate()
    server.start()
    with tunekit.client.connect(server.url, spool=spool) as client:
        assert client.flush() == 0
        [trial] = study.trials
        assert trial.state is TrialState.COMPLETE
        assert trial.metrics == {"value": trial.params["x"]}
        assert [r.step for r in study.reports()[0]] == [1], "the reports before it came too"
        assert told(study) == {0: 1}
        assert client.study("s").ask(wait_s=0).number == 1
    assert not list(spool.glob("*"))


@pytest.mark.faults
def test_a_worker_goes_on_when_the_service_is_back_and_no_result_counts_twice(
    server, study, tmp_path, monkeypatch
):
    monkeypatch.setattr(trial_module, "TELL_OUTAGE_S", 0.0)
    spool = tmp_path / "spool"
    with tunekit.client.connect(server.url, spool=spool) as client:
        mine = client.study("s")
        first = mine.ask()
        server.kill()
        assert first.tell(1.0) is False
        [kept] = spool.glob("*.json")
        copy = kept.read_bytes()
        server.start()
        assert mine.ask().tell(2.0) is True
        kept.write_bytes(copy)  # as if the answer had been lost
        assert client.flush() == 0
    assert {t.number: t.metrics["value"] for t in study.trials} == {0: 1.0, 1: 2.0}
    assert told(study) == {0: 1, 1: 1}


@pytest.mark.faults
def test_clients_that_share_a_spool_send_each_result_once(server, study, tmp_path, monkeypatch):
    monkeypatch.setattr(trial_module, "TELL_OUTAGE_S", 0.0)
    spool = tmp_path / "spool"
    clients = [tunekit.client.connect(server.url, spool=spool) for _ in range(3)]
    trials = [c.study("s").ask() for c in clients for _ in range(3)]
    server.kill()
    assert [t.tell(float(t.number)) for t in trials] == [False] * 9
    server.start()
    threads = [threading.Thread(target=c.flush) for c in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for client in clients:
        client.close()
    assert told(study) == dict.fromkeys(range(9), 1)
    assert not list(spool.glob("*"))


def test_a_result_that_the_service_refuses_for_good_is_dropped_and_does_not_block_others(
    server, study, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(trial_module, "TELL_OUTAGE_S", 0.0)
    spool = tmp_path / "spool"
    with tunekit.client.connect(server.url, spool=spool) as client:
        lost, kept = client.study("s").ask(), client.study("s").ask()
        study.storage.expire(study.id, [(lost.number, 1)])
        other = client.study("s").ask()
        assert other.number == lost.number
        other.tell(5.0)
        server.kill()
        assert lost.tell(1.0) is False or lost.lost
        assert kept.tell(2.0) is False
        server.start()
        wait_for(lambda: not client.flush(), "for the results to be sent")
    assert {t.number: t.metrics["value"] for t in study.trials} == {0: 5.0, 1: 2.0}
    assert not list(spool.glob("*"))
    assert "refused and dropped" in caplog.text
