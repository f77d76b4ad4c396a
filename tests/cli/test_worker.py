"""`tunekit worker`: pulls trials from a service, drains, and takes itself out of service."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import tunekit as tk
from tunekit.records import TrialState
from tunekit.service.app import Service
from tunekit.storages.urls import open_storage
from tunekit.testing.killable import wait_beside
from tunekit.testing.service import running_service

TRAIN = """
import pathlib, time


def objective(trial):
    return trial.params["x"]


def broken(trial):
    raise OSError("no CUDA device 0")


def at_times(trial):
    if trial.number % 2:
        raise OSError("no CUDA device 0")
    return trial.params["x"]


def gated(trial):
    kept = trial.checkpoint_dir / "step"
    begin = int(kept.read_text()) + 1 if kept.exists() else 0
    for step in range(begin, 3):
        kept.write_text(str(step))
        trial.report(trial.params["x"], step, checkpoint=True)
        pathlib.Path(f"at-{trial.number}-{step}").touch()
        while step == 1 and not pathlib.Path("gate").exists():
            time.sleep(0.005)
    trial.set_user_attr("begin", begin)
    return trial.params["x"]
"""
SPACE = {"x": tk.Float(0, 1), "lr": tk.Float(1e-3, 1, log=True)}


@pytest.fixture
def url(folder):
    (folder / "train.py").write_text(TRAIN)
    with running_service(Service(open_storage(folder / "team.db"))) as url:
        yield f"{url}/vision"


@pytest.fixture
def study(url):
    storage = open_storage(url)

    def make(name="s", **options):
        return tk.study(name, space=SPACE, storage=storage, sampler="random", seed=1, **options)

    yield make
    storage.close()


GATED = ("--checkpoints", "kept", "train.py:gated")


class Worker:
    """A worker process; it is killed with the test."""

    def __init__(self, url, *words):
        command = [sys.executable, "-m", "tunekit", "worker", "--url", url, *words]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)

    def waits_for(self, *paths):
        are_there = wait_beside(self.process, lambda: all(Path(p).exists() for p in paths))
        assert are_there, self.process.stderr.read()

    def says(self, text):
        for line in self.process.stderr:
            if text in line:
                return
        raise AssertionError(f"it ended before it said {text!r}")

    def end(self):
        _, said = self.process.communicate(timeout=120)
        return self.process.returncode, said


@pytest.fixture
def start(url):
    started = []

    def start(*words):
        started.append(Worker(url, *words))
        return started[-1]

    yield start
    for worker in started:
        worker.process.kill()
        worker.process.communicate()


def test_two_workers_share_the_trials_of_a_study_and_none_runs_twice(study, start):
    made = study()
    workers = [start("--study", "s", "-n", "4", "train.py:objective") for _ in range(2)]
    assert [w.end()[0] for w in workers] == [0, 0]
    assert made.refresh().counts() == {TrialState.COMPLETE: 8}
    assert len({t.worker for t in made.trials}) == 2
    events = made.storage.events(made.id)
    assert Counter(e.number for e in events if e.kind == "told") == dict.fromkeys(range(8), 1)


def test_a_program_runs_with_placeholders(study, start):
    made = study()
    status, said = start("--study", "s", "-n", "2", "--", "echo", "{x}").end()
    assert status == 0, said
    assert [t.metrics["value"] for t in made.trials] == [t.params["x"] for t in made.trials]


def test_a_worker_of_a_project_serves_all_studies_in_turns_and_those_to_come(study, start):
    made = [study("a"), study("b")]
    worker = start("--project", "train.py:objective")
    worker.says("pulling trials of b")
    made.append(study("c"))
    worker.says("c 1 is complete")
    worker.process.send_signal(signal.SIGTERM)
    status, said = worker.end()
    assert status == 0, said
    for s in made:
        # A trial that was proposed and had not begun waits for the next worker.
        assert set(s.refresh().counts()) - {TrialState.WAITING} == {TrialState.COMPLETE}


@pytest.mark.parametrize("workers", ["1", "3"])
def test_a_worker_of_a_project_starts_so_many_trials_and_ends(study, start, workers):
    made = [study("a"), study("b")]
    words = ("--project", "-n", "9", "-w", workers, "train.py:objective")
    status, said = start(*words).end()
    assert status == 0
    counts = [s.refresh().counts() for s in made]
    assert all(set(c) == {TrialState.COMPLETE} for c in counts), "each study had its turns"
    assert sum(c[TrialState.COMPLETE] for c in counts) == 9
    assert "done: 9 trials ended here" in said


def test_a_worker_whose_trials_fail_for_one_cause_quarantines_itself(study, start):
    made = study()
    status, said = start("--study", "s", "-n", "9", "train.py:broken").end()
    assert status == 8
    assert "3 trials in a row failed on" in said and "no CUDA device 0" in said
    assert made.refresh().counts() == {TrialState.FAILED: 3}


def test_failures_between_results_are_no_reason_for_quarantine(study, start):
    made = study()
    status, said = start(
        "--study", "s", "-n", "6", "--equal-failures", "2", "train.py:at_times"
    ).end()
    assert status == 0, said
    assert made.refresh().counts() == {TrialState.COMPLETE: 3, TrialState.FAILED: 3}


def test_sigterm_lets_the_running_trials_finish_and_starts_no_other(study, start):
    made = study(checkpoints="kept")
    worker = start("--study", "s", "-w", "2", *GATED)
    worker.waits_for("at-0-1", "at-1-1")
    worker.process.send_signal(signal.SIGTERM)
    worker.says("finishing the running trials")
    Path("gate").touch()
    status, said = worker.end()
    assert status == 0 and "2 trials ended here" in said
    assert made.refresh().counts() == {TrialState.COMPLETE: 2}


@pytest.mark.parametrize("how", ["twice", "grace"])
def test_a_trial_given_back_goes_on_from_its_checkpoint_on_another_worker(study, start, how):
    made = study(checkpoints="kept")
    words = ("--grace", "0.05s") if how == "grace" else ()
    worker = start("--study", "s", *words, *GATED)
    worker.waits_for("at-0-1")
    worker.process.send_signal(signal.SIGTERM)
    if how == "twice":
        worker.says("finishing the running trials")
        worker.process.send_signal(signal.SIGTERM)
    status, said = worker.end()
    assert status == 0 and "told to stop" in said
    assert made.refresh().counts() == {TrialState.WAITING: 1}
    Path("gate").touch()
    assert start("--study", "s", "-n", "1", *GATED).end()[0] == 0
    [trial] = made.trials
    assert trial.state is TrialState.COMPLETE
    assert trial.user_attrs["begin"] == 2, "from the checkpoint of step 1"


def test_a_worker_needs_a_study_or_a_project(start):
    status, said = start("train.py:objective").end()
    assert status == 2 and "--study NAME and --project" in said


def test_a_study_that_is_stopped_is_not_started_again_by_a_worker(study, start):
    made = study()
    made.stop()
    status, said = start("--study", "s", "train.py:objective").end()
    assert status == 0 and "s is stopped; nothing to pull" in said
    assert str(made.record().state) == "stopped"
