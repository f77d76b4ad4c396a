"""Drivers and workers killed with SIGKILL at random moments: nothing lost, nothing doubled."""

import os
import random
import runpy
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import psutil
import pytest

import tunekit as tk
from tunekit.records import TrialState
from tunekit.testing.killable import wait_beside

DRIVER = Path(__file__).with_name("driver.py")
ROUNDS = int(os.environ.get("TUNEKIT_FAULT_ROUNDS", "2"))
N_TRIALS = 40

pytestmark = pytest.mark.faults


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/f.db"
    return request.getfixturevalue("postgres_url")


STARTED = []


def start(url, name, workers=2):
    return started([url, name, str(N_TRIALS), str(workers)], stdout=subprocess.DEVNULL)


def start_together(url, name, n):
    """Return drivers that began when all of them stood at the line."""
    arguments = [url, name, str(N_TRIALS), "1", "held"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    processes = [started(arguments, **pipes) for _ in range(n)]
    for process in processes:
        assert process.stdout.readline() == b"ready\n"
    for process in processes:
        process.stdin.write(b"go\n")
        process.stdin.flush()
    return processes


def started(arguments, **pipes):
    command = [sys.executable, str(DRIVER), *arguments]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, **pipes)
    STARTED.append(process)
    return process


@pytest.fixture(autouse=True)
def _no_driver_outlives_its_test():
    yield
    while STARTED:
        process = STARTED.pop()
        process.kill()
        if not process.stderr.closed:
            process.communicate()


def wait_until(url, name, n_finished, process):
    """Return when so many trials have ended, or the process has."""
    opened = []

    def have_ended():
        try:
            study = opened[0] if opened else tk.load_study(name, storage=url)
        except tk.TunekitError:
            return False  # the driver has not made the study yet
        opened[:] = [study]
        return study.refresh().n_finished >= n_finished

    wait_beside(process, have_ended)


def finish(url, name, processes):
    for process in processes:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err.decode()
    return tk.load_study(name, storage=url)


def check(study, expected, *, failed=0):
    """Every number once, told once, as the seed says, and nothing left behind."""
    trials = study.trials
    assert [t.number for t in trials] == list(range(N_TRIALS))
    counts = Counter(t.state for t in trials)
    assert counts[TrialState.COMPLETE] >= N_TRIALS - failed
    assert sum(counts.values()) == counts[TrialState.COMPLETE] + counts[TrialState.FAILED]
    told, after = Counter(), 0
    while page := study.storage.events(study.id, after):
        told.update(e.number for e in page if e.kind == "told")
        after = page[-1].seq
    assert told == Counter(range(N_TRIALS))
    for trial in trials:
        assert trial.params == expected[trial.number]
        if trial.state is TrialState.COMPLETE:
            assert trial.metrics["value"] == trial.params["x"] ** 2
    return counts


@pytest.fixture(scope="module")
def expected():
    """What an undisturbed run in one process proposes."""
    space = runpy.run_path(str(DRIVER), run_name="driver")["SPACE"]
    study = tk.study(space=space, sampler="random", seed=11)
    study.optimize(lambda t: t.params["x"] ** 2, n_trials=N_TRIALS)
    return {t.number: t.params for t in study.trials}


def test_killed_drivers_lose_nothing(url, expected):
    rng = random.Random(1)
    kills = 0
    for turn in range(ROUNDS):
        name = f"driver-{turn}"
        for _ in range(3):
            process = start(url, name)
            wait_until(url, name, rng.randrange(N_TRIALS), process)
            kills += process.poll() is None
            process.kill()
            process.communicate()
        check(finish(url, name, [start(url, name)]), expected)
    assert kills
    print(f"{ROUNDS} studies, {kills} drivers killed: 0 lost, 0 doubled, 0 left running")


def test_a_killed_worker_costs_one_trial(url, expected):
    rng = random.Random(2)
    kills = failed = 0
    for turn in range(ROUNDS):
        name = f"worker-{turn}"
        process = start(url, name)
        wait_until(url, name, rng.randrange(N_TRIALS - 5), process)
        try:
            os.kill(rng.choice(psutil.Process(process.pid).children()).pid, signal.SIGKILL)
            kills += 1
        except (psutil.NoSuchProcess, ProcessLookupError, IndexError):
            pass  # the driver was done before
        failed += check(finish(url, name, [process]), expected, failed=1)[TrialState.FAILED]
    assert failed <= kills
    assert kills
    print(f"{ROUNDS} studies, {kills} workers killed: {failed} trials failed, 0 lost, 0 doubled")


def test_many_drivers_share_a_study_and_one_dies(url, expected):
    processes = start_together(url, "shared", 8)
    wait_until(url, "shared", 5, processes[0])
    processes[0].kill()
    processes[0].communicate()
    study = finish(url, "shared", processes[1:])
    check(study, expected)
    assert len({t.worker for t in study.trials}) > 1


@pytest.mark.postgres
def test_a_restarted_server_under_eight_drivers_loses_nothing(
    postgres_server, postgres_url, expected
):
    rng = random.Random(3)
    for turn in range(ROUNDS):
        name = f"restart-{turn}"
        processes = [start(postgres_url, name, 1) for _ in range(8)]
        wait_until(postgres_url, name, rng.randrange(N_TRIALS - 10), processes[0])
        postgres_server.restart()
        check(finish(postgres_url, name, processes), expected)
    print(f"{ROUNDS} restarts under 8 drivers: 0 lost, 0 doubled, 0 left running")
