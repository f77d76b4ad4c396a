"""Actors, nodes, drivers and heads of a real Ray cluster killed: nothing lost, nothing doubled."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path

import psutil
import pytest

import tunekit as tk
from tests.executors.ray_cluster import running_cluster
from tests.faults.ray_driver import SPACE, objective
from tunekit.errors import ExecutorFailed
from tunekit.executors.base import Limits
from tunekit.executors.ray.executor import RayExecutor

DRIVER = Path(__file__).with_name("ray_driver.py")
ROUNDS = int(os.environ.get("TUNEKIT_FAULT_ROUNDS", "1"))
PATIENCE_S = 60.0

pytestmark = [pytest.mark.ray, pytest.mark.faults, pytest.mark.xdist_group("ray-faults")]


@pytest.fixture(scope="module")
def cluster():
    with running_cluster(num_cpus=2, num_gpus=1) as cluster:
        yield cluster


def make_study(tmp_path, name="s"):
    url = f"sqlite:///{tmp_path}/r.db"
    return tk.study(name, space=SPACE, storage=url, sampler="random", seed=11, max_retries=1000)


def check(study, n_trials):
    """Every number once, told once, as the seed says, and no process left behind."""
    trials = study.trials
    assert [t.number for t in trials] == list(range(n_trials))
    assert {str(t.state) for t in trials} == {"complete"}
    told, after = Counter(), 0
    while page := study.storage.events(study.id, after):
        told.update(e.number for e in page if e.kind == "told")
        after = page[-1].seq
    assert told == Counter(range(n_trials))
    assert all(t.metrics["value"] == t.params["x"] ** 2 for t in trials)
    assert set(study.reports()) == set(range(n_trials))
    left = [psutil.Process(p) for p in {t.user_attrs["process"] for t in trials} if alive(p)]
    assert psutil.wait_procs(left, timeout=PATIENCE_S)[1] == []


def alive(pid):
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_killed_actors_cost_no_trial(cluster, tmp_path):
    study = make_study(tmp_path)
    killed = []

    def kill(study, trial):
        if trial.number % 10 == 9 and len(killed) < ROUNDS:
            killed.append(trial.user_attrs["worker"])
            os.kill(killed[-1], signal.SIGKILL)

    n_trials = 10 * ROUNDS + 10
    executor = RayExecutor(address=cluster.address, max_failures=1000)
    assert study.optimize(objective, n_trials, executor=executor, callbacks=kill) == "done"
    assert len(killed) == ROUNDS
    check(study, n_trials)


def test_a_node_that_joins_is_used_and_its_death_costs_no_trial(cluster, tmp_path):
    for turn in range(max(1, ROUNDS // 3)):
        study = make_study(tmp_path, f"nodes-{turn}")
        is_there = Counter()

        def come_and_go(study, trial, is_there=is_there):
            if trial.number == 0:
                cluster.add("second", num_cpus=2, env_vars={"NODE": "second"})
            if trial.user_attrs["node"] == "second" and not is_there["killed"]:
                cluster.kill("second")
                is_there["killed"] += 1
            if is_there["killed"]:
                is_there["after"] += 1
                if is_there["after"] == 20:
                    study.stop()

        executor = RayExecutor(address=cluster.address)
        ending = study.optimize(objective, executor=executor, callbacks=come_and_go)
        assert ending == "stopped"
        if study.refresh().n_waiting:  # given back by the dead node when the study was stopped
            executor = RayExecutor(address=cluster.address)
            study.optimize(objective, total_trials=len(study.trials), executor=executor)
        assert {t.user_attrs["node"] for t in study.trials} == {"head", "second"}
        check(study, len(study.trials))


def test_killed_drivers_lose_nothing_and_leave_nothing(cluster, tmp_path):
    study, n_trials = make_study(tmp_path), 15 * ROUNDS + 15

    def start():
        command = [sys.executable, str(DRIVER), study.storage.url, "s", str(n_trials)]
        return subprocess.Popen([*command, cluster.address], stderr=subprocess.PIPE)

    for turn in range(ROUNDS):
        driver = start()
        while study.refresh().n_finished < 15 * turn + 10 and driver.poll() is None:
            time.sleep(0.01)
        assert driver.poll() is None, driver.stderr.read().decode()
        driver.kill()
        driver.communicate()
    driver = start()
    assert driver.wait(PATIENCE_S) == 0, driver.stderr.read().decode()
    driver.communicate()
    check(study, n_trials)


def test_a_restarted_head_costs_no_trial(tmp_path):
    with running_cluster(num_cpus=1) as cluster:
        study = make_study(tmp_path)

        def restart(study, trial):
            if trial.number % 10 == 5 and trial.number < 10 * max(1, ROUNDS // 3):
                cluster.restart()

        n_trials = 10 * max(1, ROUNDS // 3) + 10
        executor = RayExecutor(address=cluster.address)
        assert study.optimize(objective, n_trials, executor=executor, callbacks=restart) == "done"
        check(study, n_trials)


def fail_on_a_sick_node(trial):
    if os.environ.get("NODE") == "sick":
        raise RuntimeError("no CUDA device")
    time.sleep(0.05)
    return 1.0


def test_one_sick_node_loses_at_most_five_trials(cluster, tmp_path):
    cluster.add("sick", num_cpus=2, env_vars={"NODE": "sick"}, resources={"sick": 1})
    study = make_study(tmp_path)
    study.optimize(fail_on_a_sick_node, 60, executor=RayExecutor(address=cluster.address))
    states = Counter(str(t.state) for t in study.trials)
    cluster.kill("sick")
    assert 3 <= states["failed"] <= 5
    assert states["complete"] == 60 - states["failed"]


def fail_on_the_first_node(trial, path):
    """Fail on the node whose trial has written the file, which is that of the first trial."""
    node = os.environ.get("NODE", "head")
    try:
        with open(path, "x") as file:
            file.write(node)
        is_first = True
    except FileExistsError:
        is_first = Path(path).read_text() == node
    if is_first:
        raise RuntimeError("no CUDA device")
    return 1.0


def test_a_sick_node_that_holds_the_only_worker_is_left_for_another_one(cluster, tmp_path):
    cluster.add("other", num_cpus=2, env_vars={"NODE": "other"})
    study = make_study(tmp_path)
    executor = RayExecutor(1, address=cluster.address)
    fail = partial(fail_on_the_first_node, path=f"{tmp_path}/node")
    assert study.optimize(fail, 10, executor=executor) == "done"
    cluster.kill("other")
    assert Counter(str(t.state) for t in study.trials) == {"failed": 3, "complete": 7}


def kill_the_actor(trial):
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(PATIENCE_S)


def test_a_trial_that_loses_its_worker_each_time_fails_with_the_reason(cluster, tmp_path):
    study = make_study(tmp_path)
    executor = RayExecutor(1, address=cluster.address, max_failures=1)
    study.optimize(kill_the_actor, 1, executor=executor)
    assert [str(t.state) for t in study.trials] == ["failed"]
    assert "lost its worker" in study.trials[0].end_reason
    assert "loss 2" in study.trials[0].end_reason


def test_a_trial_that_fits_nowhere_says_why_and_ends_the_run(
    cluster, tmp_path, caplog, monkeypatch
):
    monkeypatch.setattr("tunekit.executors.ray.workers.NOTICE_S", 0.1)
    study = make_study(tmp_path)
    limits = Limits({"gpu": 2})
    executor = RayExecutor(1, address=cluster.address, limits=limits, placement_timeout_s=1)
    why = "a trial needs 2 gpu; the cluster has 1"
    with pytest.raises(ExecutorFailed, match=f"no worker on the Ray cluster for 1 s: {why}"):
        study.optimize(objective, 1, executor=executor)
    assert f"waiting for a place on the Ray cluster, 0 workers run: {why}" in caplog.text
    assert study.trials == []


def crash_once(trial):
    if trial.resumed_from is None:
        (trial.checkpoint_dir / "state").touch()
        trial.report(1.0, 0, checkpoint=True)
        os.kill(os.getpid(), signal.SIGKILL)
    return float(trial.resumed_from)


def test_a_trial_whose_process_crashes_goes_on_from_its_checkpoint(cluster, tmp_path):
    url, kept = f"sqlite:///{tmp_path}/r.db", tmp_path / "kept"
    study = tk.study("s", space=SPACE, storage=url, sampler="random", checkpoints=kept)
    executor = RayExecutor(1, address=cluster.address)
    study.optimize(crash_once, 1, executor=executor)
    assert [(str(t.state), t.metrics) for t in study.trials] == [("complete", {"value": 0.0})]


def print_much(trial):
    line = "x" * 999 + "\n"
    for _ in range(trial.params["n_mib"]):
        sys.stdout.write(line * 1000)
    print("the last line")
    raise ValueError("after much output")


def test_an_objective_that_prints_much_costs_neither_memory_nor_its_last_line(cluster, tmp_path):
    n_mib = 1024 if ROUNDS >= 30 else 30
    study = tk.study(space=tk.Space(n_mib=n_mib), sampler="random", seed=1)
    executor = RayExecutor(1, address=cluster.address, log_folder=tmp_path)
    before = psutil.Process().memory_info().rss
    study.optimize(print_much, 1, executor=executor)
    assert "after much output" in study.trials[0].error
    assert study.trials[0].error.endswith("the last line")
    assert (tmp_path / "trial-000000.log").read_text().endswith("the last line\n")
    assert psutil.Process().memory_info().rss - before < 20 << 20
