import functools
import os
import time
from collections import defaultdict
from contextlib import contextmanager

import pytest

import tunekit as tk
from tests.executors.ray_cluster import running_cluster
from tunekit.errors import ExecutorFailed
from tunekit.executors.base import Limits
from tunekit.executors.ray.executor import RayExecutor
from tunekit.records import CONTINUE, TrialState
from tunekit.sharing.pool import Pool
from tunekit.testing.executors import CrashConformance, behave
from tunekit.testing.tasks import PATIENCE_S, make_task

# One worker of pytest runs them all, on one cluster.
pytestmark = [pytest.mark.ray, pytest.mark.xdist_group("ray-conformance")]


@pytest.fixture(scope="module")
def address():
    with running_cluster(num_cpus=5, num_gpus=2, resources={"special": 4}) as cluster:
        yield cluster.address


@pytest.fixture(scope="module")
def pool(address):
    """One driver and one worker for many tests: to start them takes most of the time of each."""
    pool = Pool(RayExecutor(1, address=address))
    yield pool
    pool.close()


def carry_on(number, report):
    return CONTINUE


class Guest:
    """A slice of the pool that has all slots, and waits for the pool itself."""

    runs_in_caller = False

    def __init__(self, pool):
        self._pool, self._slice = pool, pool.slice()
        self.open, self.start = self._slice.open, self._slice.start
        self.stop, self.close = self._slice.stop, self._slice.close

    @property
    def slots(self):
        return self._pool.executor.slots

    def poll(self, timeout_s):
        until = time.monotonic() + timeout_s
        while True:  # what ends may be left from a test before
            left = max(until - time.monotonic(), 0.0)
            self._pool.poll(left)
            ended = self._slice.poll(0)
            if ended or not left:
                return ended


class TestRay(CrashConformance):
    """A test with options of its own, or of the end of an executor, has an executor of its own."""

    @pytest.fixture(autouse=True)
    def _on(self, address, pool, request):
        self.address = address
        self.pool = None if "closing" in request.node.name else pool

    def make(self, **options):
        return RayExecutor(1, address=self.address, **options)

    @contextmanager
    def opened(self, first, on_report=carry_on, **options):
        if options or self.pool is None:
            with super().opened(first, on_report, **options) as executor:
                yield executor
            return
        executor = Guest(self.pool)
        executor.open(functools.partial(behave, first=first), on_report)
        try:
            yield executor
        finally:
            executor.close()


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
    on = defaultdict(set)

    def look(study, trial):
        (device,) = trial.user_attrs["devices"]
        assert trial.user_attrs["visible"] == device
        on[device].add(trial.user_attrs["worker"])
        if sum(map(len, on.values())) == 4:  # all workers of the cluster have started
            study.stop()

    study.optimize(who_ran, n_trials=2000, executor=executor, callbacks=look)
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
