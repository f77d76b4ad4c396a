"""Workers that hang, are killed, or leave something behind."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
import textwrap
import threading
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
import pytest

import tunekit as tk
from tunekit.executors.base import Limits
from tunekit.executors.process.executor import ProcessExecutor
from tunekit.executors.process.messages import Messages
from tunekit.records import CONTINUE, Outcome, TrialState
from tunekit.testing.killable import wait_for
from tunekit.testing.tasks import PATIENCE_S, make_task

on_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
DAEMON = textwrap.dedent("""
    import os, sys, time
    if os.fork():
        os._exit(0)  # its parent is gone: nobody is its ancestor but init
    os.setsid()
    with open(sys.argv[1] + ".new", "w") as file:
        file.write(str(os.getpid()))
    os.rename(sys.argv[1] + ".new", sys.argv[1])
    time.sleep(1000)
""")


def freeze_within_a_message(trial: tk.Trial) -> float:
    if trial.number == 0:
        # The connection of a worker is its first argument. A frame of 1000 bytes begins here.
        os.write(int(sys.argv[1]), struct.pack("!i", 1000) + b"only the beginning")
        os.kill(os.getpid(), signal.SIGSTOP)
    return float(trial.number)


def test_a_worker_frozen_within_a_message_costs_its_trial_and_its_time_only() -> None:
    executor = ProcessExecutor(2, limits=Limits(timeout_s=3.0))
    executor.open(freeze_within_a_message, lambda number, report: CONTINUE)
    ended = []
    try:
        executor.start(make_task(0))
        for number in range(1, 6):
            executor.start(make_task(number))
            ended += executor.poll(PATIENCE_S)
        while len(ended) < 6:
            new = executor.poll(PATIENCE_S)
            assert new
            ended += new
    finally:
        executor.close()
    by_number = {e.number: e.outcome for e in ended}
    assert by_number[0].state is TrialState.FAILED
    assert "time limit of 3 s" in by_number[0].reason
    assert [by_number[n].metrics for n in range(1, 6)] == [{"loss": float(n)} for n in range(1, 6)]


def test_nothing_waits_for_an_end_that_reads_and_writes_nothing() -> None:
    ours, theirs = socket.socketpair()
    messages, peer = Messages(ours.detach()), Connection(theirs.detach())
    large = os.urandom(20_000_000)
    messages.send(large)
    messages.send(b"second")
    assert messages.has_unsent
    assert messages.receive() == ([], True)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.extend(peer.recv_bytes() for _ in range(2)))
    reader.start()
    while messages.has_unsent:
        messages.flush()
    reader.join()
    assert got == [large, b"second"]
    writer = threading.Thread(target=lambda: [peer.send_bytes(m) for m in (large, b"", b"x")])
    writer.start()
    received: list[bytes] = []
    while len(received) < 3:
        received += messages.receive()[0]
    writer.join()
    assert received == [large, b"", b"x"]
    peer.close()
    assert messages.receive() == ([], False)
    messages.close()


def _number(file: Path) -> int:
    wait_for(file.exists, "for a number")
    return int(file.read_text())


def _wait_until_gone(pid: int) -> None:
    try:
        psutil.Process(pid).wait(PATIENCE_S)
    except psutil.NoSuchProcess:
        return


@on_linux
def test_a_stop_kills_a_daemon_of_the_trial(tmp_path: Path) -> None:
    file = tmp_path / "daemon"

    def objective(trial: tk.Trial) -> float:
        subprocess.run([sys.executable, "-c", DAEMON, str(file)], check=True)
        trial.report(1.0, 0)
        threading.Event().wait()
        return 1.0

    executor = ProcessExecutor(1)
    stopped = Outcome(TrialState.CANCELLED, reason="by a person")
    pids: list[int] = []

    def on_report(number: int, report: object) -> object:
        pids.append(_number(file))
        executor.stop(0, stopped)
        return CONTINUE

    executor.open(objective, on_report)  # type: ignore[arg-type]
    try:
        executor.start(make_task(0))
        (ended,) = executor.poll(PATIENCE_S)
    finally:
        executor.close()
    assert ended.outcome == stopped
    _wait_until_gone(pids[0])


@on_linux
def test_a_daemon_of_a_trial_does_not_survive_the_kill_of_the_driver(tmp_path: Path) -> None:
    script = textwrap.dedent(f"""
        import subprocess, sys, threading
        import tunekit as tk

        def objective(trial):
            subprocess.run([sys.executable, "-c", {DAEMON!r}, {str(tmp_path / "daemon")!r}])
            print("started", flush=True)
            threading.Event().wait()

        tk.study(sampler="random", seed=1).optimize(objective, 1, executor="process")
    """)
    with subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True) as d:
        daemon = _number(tmp_path / "daemon")
        d.kill()
        d.communicate()
    _wait_until_gone(daemon)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_trial_whose_worker_is_killed_begins_again(tmp_path: Path, number: int) -> None:
    def objective(trial: tk.Trial) -> float:
        with (tmp_path / f"{trial.number}").open("a") as file:
            file.write("start\n")
        if trial.number == 1 and (tmp_path / "1").read_text().count("start") < 3:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        return float(trial.number)

    study = tk.study(sampler="random", seed=1, max_retries=2)
    study.optimize(objective, 3, executor="process", workers=2, progress=False)
    assert [t.state for t in study.trials] == [TrialState.COMPLETE] * 3
    assert [(tmp_path / f"{n}").read_text().count("start") for n in range(3)] == [1, 3, 1]
    assert [t.epoch for t in study.trials] == [1, 3, 1]


def test_a_trial_that_is_killed_each_time_fails_in_the_end(tmp_path: Path) -> None:
    def objective(trial: tk.Trial) -> float:
        with (tmp_path / "starts").open("a") as file:
            file.write("start\n")
        os.kill(os.getpid(), signal.SIGKILL)
        return 1.0

    study = tk.study(sampler="random", seed=1, max_retries=2)
    study.optimize(objective, 1, executor="process", progress=False)
    (trial,) = study.trials
    assert trial.state is TrialState.FAILED
    assert "SIGKILL" in trial.end_reason
    assert (tmp_path / "starts").read_text().count("start") == 3


def test_a_crash_of_its_own_is_not_tried_again(tmp_path: Path) -> None:
    def objective(trial: tk.Trial) -> float:
        with (tmp_path / "starts").open("a") as file:
            file.write("start\n")
        os.kill(os.getpid(), signal.SIGSEGV)
        return 1.0

    study = tk.study(sampler="random", seed=1)
    study.optimize(objective, 1, executor="process", progress=False)
    assert [t.state for t in study.trials] == [TrialState.FAILED]
    assert (tmp_path / "starts").read_text().count("start") == 1


def test_a_message_that_is_none_of_ours_buries_the_worker() -> None:

    def objective(trial: tk.Trial) -> float:
        os.write(int(sys.argv[1]), struct.pack("!i", 4) + b"junk")
        threading.Event().wait()
        return 1.0

    study = tk.study(sampler="random", seed=1)
    study.optimize(objective, 1, executor="process", progress=False)
    assert [t.state for t in study.trials] == [TrialState.FAILED]
    assert "connection" in study.trials[0].end_reason
