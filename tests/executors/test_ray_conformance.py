import os
import time
from collections import defaultdict

import pytest

import tunekit as tk
from tests.executors.ray_cluster import running_cluster
from tunekit.errors import ExecutorFailed
from tunekit.executors.base import Limits
from tunekit.executors.ray.executor import RayExecutor
from tunekit.records import CONTINUE, TrialState
from tunekit.testing.executors import CrashConformance
from tunekit.testing.tasks import PATIENCE_S, make_task

# One worker of pytest runs them all, on one cluster.
pytestmark = [pytest.mark.ray, pytest.mark.xdist_group("ray-conformance")]


@pytest.fixture(scope="module")
def address():
    with running_cluster(num_cpus=4, num_gpus=2, resources={"special": 4}) as cluster:
        yield cluster.address


class TestRay(CrashConformance):
    @pytest.fixture(autouse=True)
    def _on(self, address):
        self.address = address

    def make(self, **options):
        return RayExecutor(1, address=self.address, **options)


def who_ran(trial):
    trial.set_user_attr("worker", os.getppid())
    trial.set_user_attr("devices", list(trial.devices))
    trial.set_user_attr("visible", os.environ["CUDA_VISIBLE_DEVICES"])
    time.sleep(0.1)
    return 1.0


def test_half_a_gpu_each_puts_two_trials_on_each_device_and_shows_only_that(address):
    study = tk.study(space={"x": tk.Float(0, 1)}, sampler="random", seed=1)
    limits = Limits({"gpu": 0.5, "special": 1})
    executor = RayExecutor(address=address, limits=limits)
    peak = 0

    def look(study, trial):
        nonlocal peak
        peak = max(peak, executor.slots)
        if peak == 4 and study.history.n_finished >= 12:
            study.stop()

    study.optimize(who_ran, executor=executor, callbacks=look)
    on = defaultdict(set)
    for trial in study.trials:
        (device,) = trial.user_attrs["devices"]
        assert trial.user_attrs["visible"] == device
        on[device].add(trial.user_attrs["worker"])
    assert {device: len(workers) for device, workers in on.items()} == {"0": 2, "1": 2}


def test_optimize_finds_the_cluster_by_its_environment(address, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", address)
    study = tk.study(space={"x": tk.Float(0, 1)}, sampler="random", seed=1)
    assert study.optimize(lambda t: t.params["x"], 5, workers=1, executor="ray") == "done"
    assert {str(t.state) for t in study.trials} == {"complete"}


def test_no_cluster_at_an_address_is_told():
    executor = RayExecutor(1, address="127.0.0.1:9")
    study = tk.study(space={"x": tk.Float(0, 1)}, sampler="random", seed=1)
    with pytest.raises(ExecutorFailed, match="no Ray cluster can be reached"):
        study.optimize(lambda t: 1.0, 1, executor=executor)


def test_reports_that_need_no_decision_do_not_wait_for_the_driver(address, tmp_path):
    def objective(trial):
        for step in range(100):
            trial.report(1.0, step)
        (tmp_path / "reported").touch()
        return 1.0

    seen = []

    def on_report(number, report):
        until = time.monotonic() + PATIENCE_S
        while not (tmp_path / "reported").exists() and time.monotonic() < until:
            time.sleep(0.01)
        seen.append((report.step, (tmp_path / "reported").exists()))
        return CONTINUE

    executor = RayExecutor(1, address=address)
    try:
        executor.open(objective, on_report)
        executor.start(make_task(0, awaits_decisions=False))
        assert executor.poll(PATIENCE_S)[0].outcome.state is TrialState.COMPLETE
    finally:
        executor.close()
    assert seen == [(step, True) for step in range(100)]
