"""What a fork inherits from a run: no handler, no lock and no trial of its parent."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator

import pytest

import tunekit as tk
from tunekit.driver.interrupts import Interrupts
from tunekit.errors import InvalidArgument
from tunekit.records import TrialState

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning"),
]

POOLS = """
    import multiprocessing
    import tunekit as tk

    def square(x):
        return x * x

    def objective(trial):
        with multiprocessing.get_context("fork").Pool(2) as pool:  # ends its workers by SIGTERM
            return sum(pool.map(square, range(4))) + trial.suggest_float("x", 0, 1)

    study = tk.study(storage="memory://", seed=1, sampler="random")
    study.optimize(objective, 20, progress=False)
    print([t.state.value for t in study.trials])
"""


def _in_child(look: object) -> str:
    """Return what a forked child sees."""
    receive, send = multiprocessing.Pipe(duplex=False)
    pid = os.fork()
    if pid == 0:
        send.send(look())  # type: ignore[operator]
        os._exit(0)
    os.waitpid(pid, 0)
    found: str = receive.recv()
    return found


def test_pools_inside_of_an_inline_objective_end_each_time() -> None:
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(POOLS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(["complete"] * 20)


def test_a_fork_has_the_handlers_from_before_the_run() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with Interrupts(print), Interrupts(print):
        ours = signal.getsignal(signal.SIGTERM)
        assert ours not in before
        inside = _in_child(
            lambda: (
                (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before,
                signal.pthread_sigmask(signal.SIG_BLOCK, ()),
            )
        )
        assert inside == (True, signal.pthread_sigmask(signal.SIG_BLOCK, ()))
        assert signal.getsignal(signal.SIGTERM) == ours
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


@pytest.fixture
def plain_sigterm() -> Iterator[None]:
    """SIGTERM as a fresh process has it; a library of an earlier test may handle it."""
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGTERM, before)


def test_a_signal_that_meets_a_fork_ends_the_child(plain_sigterm: None) -> None:
    with Interrupts(lambda text: None) as interrupts:
        pid = os.fork()
        if pid == 0:
            while True:
                signal.pause()
        os.kill(pid, signal.SIGTERM)
        _, status = os.waitpid(pid, 0)
    assert os.WTERMSIG(status) == signal.SIGTERM
    assert interrupts.count == 0


def test_a_fork_by_another_thread_has_them_as_well() -> None:
    found: list[object] = []
    before = signal.getsignal(signal.SIGTERM)
    with Interrupts(print):
        look = lambda: signal.getsignal(signal.SIGTERM) == before  # noqa: E731
        thread = threading.Thread(target=lambda: found.append(_in_child(look)))
        thread.start()
        thread.join()
    assert found == [True]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_fork_of_an_objective_reports_nothing_and_ends_no_trial(workers: int) -> None:
    def objective(trial: tk.Trial) -> float:
        pid = os.fork()
        if pid == 0:
            try:
                trial.report(99.0, 0)
            except InvalidArgument as error:
                os._exit(7 if "a fork of the trial's process" in str(error) else 1)
        _, status = os.waitpid(pid, 0)
        if os.fork() == 0:
            return -1.0  # comes back twice
        os.wait()
        return float(os.waitstatus_to_exitcode(status))

    study = tk.study(storage="memory://", seed=1, objectives="value", sampler="random")
    study.optimize(objective, 3, workers=workers, progress=False)
    assert [(t.state, t.metrics["value"]) for t in study.trials] == [
        (TrialState.COMPLETE, 7.0)
    ] * 3
    assert study.reports() == {}


def test_a_fork_uses_the_storage_on_connections_of_its_own(tmp_path: object) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    study = tk.study("s", storage=url, seed=1, objectives="value", sampler="random")

    def objective(trial: tk.Trial) -> float:
        return float(_in_child(lambda: len(study.refresh())))

    study.optimize(objective, 4, progress=False)
    assert [t.metrics["value"] for t in study.trials] == [1.0, 2.0, 3.0, 4.0]
    study.storage.close()
