"""`tunekit submit` and `tunekit runner`: jobs of several people on one machine, in fair shares."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import update

import tunekit as tk
from tests.executors.ray_cluster import running_cluster
from tunekit.records import TrialState
from tunekit.service.app import Service
from tunekit.storages.http.job_messages import JobPatch, JobState
from tunekit.storages.http.jobs import open_service
from tunekit.storages.http.oversight_messages import Quotas
from tunekit.storages.sql.job_tables import jobs as job_table
from tunekit.storages.urls import open_storage
from tunekit.testing.killable import wait_beside
from tunekit.testing.service import running_service

ROUNDS = int(os.environ.get("TUNEKIT_FAULT_ROUNDS", "1"))
TRAIN = """
import pathlib, time
import tunekit as tk

space = tk.Space(x=tk.Float(0, 1))


def objective(trial):
    return trial.params["x"]


def gated(trial):
    pathlib.Path(__file__).with_name(f"at-{trial.number}").touch()
    while not pathlib.Path(__file__).with_name("gate").exists():
        time.sleep(0.005)
    return trial.params["x"]
"""
STUDY = """
name: {name}
{what}
space: train.py:space
trials: {trials}
sampler: random
seed: 1
"""


@pytest.fixture
def allowed(folder):
    place = folder / "allowed"
    place.mkdir()
    (place / "train.py").write_text(TRAIN)
    (folder / "train.py").write_text(TRAIN)
    script = place / "train.sh"
    script.write_text("#!/bin/sh\necho $1\n")
    script.chmod(0o755)
    return place


@pytest.fixture
def app(folder):
    return Service(open_storage(folder / "team.db"))


@pytest.fixture
def url(app):
    with running_service(app) as url:
        yield f"{url}/vision"


@pytest.fixture
def service(url):
    storage, jobs = open_service(url)
    yield storage, jobs
    storage.close()


@pytest.fixture
def submit(cli, url, folder):
    def submit(name, what="objective: train.py:objective", trials=4, *flags):
        path = folder / f"{name}.yaml"
        path.write_text(STUDY.format(name=name, what=what, trials=trials))
        return cli("submit", str(path), "--url", url, *flags)

    return submit


class Runner:
    """A runner process; it is killed with the test."""

    def __init__(self, url, allowed, *words):
        command = [sys.executable, "-m", "tunekit", "runner", "--url", url]
        self.process = subprocess.Popen(
            [*command, "--allow", str(allowed), *words], stderr=subprocess.PIPE, text=True
        )

    def says(self, *texts):
        """Read lines until each text has been in one."""
        left = list(texts)
        for line in self.process.stderr:
            left = [t for t in left if t not in line]
            if not left:
                return
        raise AssertionError(f"it ended before it said {left}")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        _, said = self.process.communicate(timeout=120)
        assert self.process.returncode == 0, said
        return said


@pytest.fixture
def start(url, allowed):
    started = []

    def start(*words):
        started.append(Runner(url, allowed, *words))
        return started[-1]

    yield start
    for runner in started:
        runner.process.kill()
        runner.process.communicate()


def results(storage, name):
    study = tk.load_study(name, storage=storage)
    return study.refresh().counts(), study


def check_each_once(storage, name, n_trials):
    """Every number is there once, complete, told once, and as the seed says."""
    counts, study = results(storage, name)
    assert counts == {TrialState.COMPLETE: n_trials}
    assert [t.number for t in study.trials] == list(range(n_trials))
    assert all(t.metrics["value"] == t.params["x"] for t in study.trials)
    told = Counter(e.number for e in storage.events(study.id) if e.kind == "told")
    assert told == Counter(range(n_trials))


def test_submitted_functions_and_programs_run_to_their_end(service, submit, start):
    storage, jobs = service
    assert submit("a").exit_code == 0
    assert submit("b", "command: [./train.sh, '{x}']").exit_code == 0
    runner = start("--slots", "2")
    runner.says("job 1 is done", "job 2 is done")
    submit("c")  # while it runs
    runner.says("job 3 is done")
    runner.stop()
    for name in "abc":
        counts, study = results(storage, name)
        assert counts == {TrialState.COMPLETE: 4}
        assert [t.metrics["value"] for t in study.trials] == [t.params["x"] for t in study.trials]
    assert [j.state for j in jobs.list_jobs()] == [JobState.DONE] * 3


def test_jobs_from_outside_of_the_folders_fail_with_the_reason_and_others_go_on(
    service, submit, start, tmp_path
):
    storage, jobs = service
    submit("bad", "command: [python, -c, 'print(1)']")
    submit("worse", "objective: ../train.py:objective")
    jobs.submit({"name": "odd", "objective": "train.py:objective"}, weight=1.0, priority=0)
    more = {"objective": "train.py:objective", "trials": 1}
    jobs.submit({"name": "own", **more, "storage": "sqlite:///x.db"}, weight=1.0, priority=0)
    jobs.submit({"name": "env", **more, "env": {"LD_PRELOAD": "x"}}, weight=1.0, priority=0)
    jobs.submit({"name": "file", **more, "space": "/etc/passwd"}, weight=1.0, priority=0)
    submit("good")
    start().says("job 7 is done")
    found = jobs.list_jobs()
    assert [j.state for j in found] == [JobState.FAILED] * 6 + [JobState.DONE]
    reasons = [j.reason for j in found]
    assert "neither an option of an interpreter" in reasons[0]
    assert 'leave out ".."' in reasons[1]
    assert "would never end" in reasons[2]
    assert '"storage" is decided by the runner' in reasons[3]
    assert 'unknown key "env"' in reasons[4]
    assert "expected the space itself" in reasons[5]
    assert [r.spec.name for r in storage.list_studies()] == ["good"]


def test_a_stopped_runner_gives_its_jobs_back_and_another_one_ends_them(
    service, submit, start, allowed
):
    storage, jobs = service
    submit("a", "objective: train.py:gated")
    first = start()
    assert wait_beside(first.process, (allowed / "at-0").exists)
    first.process.send_signal(signal.SIGTERM)
    first.says("finishing the running trials")
    (allowed / "gate").touch()
    first.says("job 1 is queued")
    assert first.process.wait() == 0
    counts, study = results(storage, "a")
    assert counts == {TrialState.COMPLETE: 1}
    study.edit_space(tk.Space(x=tk.Float(0, 1000)))  # the job has the space that was submitted
    start().says("job 1 is done")
    counts, study = results(storage, "a")
    assert counts == {TrialState.COMPLETE: 4}
    assert max(t.params["x"] for t in study.trials) > 1
    assert jobs.get(1).epoch == 2


@pytest.mark.faults
def test_a_killed_runner_loses_and_doubles_nothing(service, app, submit, start, allowed):
    storage, jobs = service
    for turn in range(ROUNDS):
        run, queued = f"run-{turn}", f"queued-{turn}"
        submit(run, "objective: train.py:gated", 3)
        submit(queued)
        killed = start("--slots", "1")
        assert wait_beside(killed.process, (allowed / "at-0").exists)
        killed.process.kill()
        killed.process.wait()
        held = jobs.get(2 * turn + 1)
        assert held.runner and held.state in (JobState.CLAIMED, JobState.RUNNING)
        assert jobs.get(2 * turn + 2).state is JobState.QUEUED
        # The job's lease ends, as it does half a minute later.
        app.storage.database.write(lambda c: c.execute(update(job_table).values(lease_until=0.0)))
        (allowed / "gate").touch()
        after = start("--slots", "1")
        after.says(f"job {held.id} is done", f"job {held.id + 1} is done")
        after.stop()
        check_each_once(storage, run, 3)
        check_each_once(storage, queued, 4)
        assert [jobs.get(held.id + i).epoch for i in (0, 1)] == [held.epoch + 1, 1]
        for file in allowed.glob("at-*"):
            file.unlink()
        (allowed / "gate").unlink()


@pytest.mark.ray
def test_a_runner_on_ray_runs_functions_and_programs(service, submit, start):
    storage, jobs = service
    submit("a")
    submit("b", "command: [./train.sh, '{x}']")
    submit("outside", "objective: ../train.py:objective")
    with running_cluster(num_cpus=2) as cluster:
        runner = start("--executor", "ray", "--ray-address", cluster.address)
        runner.says("job 1 is done", "job 2 is done")
        runner.stop()
    for name in "ab":
        check_each_once(storage, name, 4)
    assert [j.state for j in jobs.list_jobs()] == [JobState.DONE] * 2 + [JobState.FAILED]


def test_a_cancelled_job_gives_its_slot_to_others_and_its_trial_waits(
    service, submit, start, allowed, monkeypatch
):
    storage, jobs = service
    submit("a", "objective: train.py:gated")
    runner = start()
    assert wait_beside(runner.process, (allowed / "at-0").exists)
    jobs.cancel(1)
    submit("b")
    runner.says("job 1 is given up", "job 2 is done")
    assert results(storage, "a")[0] == {TrialState.WAITING: 1}
    assert jobs.get(1).state is JobState.CANCELLED


def test_a_change_of_priority_reaches_the_runner(service, submit, start, allowed):
    _, jobs = service
    submit("a", "objective: train.py:gated")
    runner = start()
    assert wait_beside(runner.process, (allowed / "at-0").exists)
    jobs.change(1, JobPatch(weight=3.0, priority=5))
    runner.says("job 1 has weight 3 and priority 5 now")
    (allowed / "gate").touch()
    runner.says("job 1 is done")


def test_the_quota_of_an_owner_is_set_by_the_service_and_followed(
    service, app, submit, start, allowed
):
    storage, jobs = service
    app.quotas.set("vision", Quotas(owners={"ada": 1}))
    for name in "ab":
        submit(name, "objective: train.py:gated", 4)
    owned = update(job_table).values(owner="ada")
    app.storage.database.write(lambda c: c.execute(owned))
    assert [j.quota for j in (jobs.get(1), *jobs.list_jobs())] == [1, 1, 1]
    runner = start("--slots", "2", "--quota", "ada=7")
    runner.says("job 2 runs")
    assert wait_beside(runner.process, (allowed / "at-0").exists)
    counts = Counter(results(storage, "a")[0]) + Counter(results(storage, "b")[0])
    assert counts[TrialState.RUNNING] == 1, "of the two slots"
    app.quotas.set("vision", Quotas())
    runner.says("ada has no quota now")
    (allowed / "gate").touch()
    runner.says("job 1 is done", "job 2 is done")
    assert jobs.get(1).quota is None


def test_submit_and_jobs_on_the_command_line(cli, url, submit, allowed, answer):
    assert "decided by the runner" in submit("x", "objective: train.py:f\nmemory: 4G").stderr
    done = submit("a", "objective: train.py:objective", 4, "--weight", "2", "--json")
    assert done.exit_code == 0, done.stderr
    assert answer("jobs", "ls", "--url", url)["jobs"][0]["weight"] == 2.0
    assert answer("jobs", "change", "1", "--priority", "3", "--url", url)["job"]["priority"] == 3
    shown = answer("jobs", "show", "1", "--url", url)["job"]
    assert "x" in str(shown["settings"]["space"]), "the whole space travels with the job"
    assert datetime.fromisoformat(shown["created"]).tzinfo is UTC and shown["started"] is None
    assert answer("jobs", "cancel", "1", "--url", url)["job"]["state"] == "cancelled"
    assert cli("jobs", "show", "9", "--url", url).exit_code == 3
    refused = cli("jobs", "ls", "--url", "sqlite:///x.db")
    assert refused.exit_code == 2 and "is not a service" in refused.stderr
    assert not Path("x.db").exists()
