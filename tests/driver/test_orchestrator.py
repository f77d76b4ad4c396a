"""The loop with stoppers, limits, several workers and lost leases."""

import os
import signal
import threading
import time

import pytest

import tunekit as tk
from tunekit.driver.orchestrator import Orchestrator
from tunekit.driver.run_settings import Goal, Settings
from tunekit.driver.study_reader import StudyReader
from tunekit.driver.worker import Worker
from tunekit.errors import InvalidArgument
from tunekit.executors.inline import InlineExecutor
from tunekit.executors.simulated import Replay, SimulatedExecutor
from tunekit.records import ObjectiveSpec, Outcome, Proposal, StudySpec, TrialState
from tunekit.registry import make
from tunekit.storages.base import Tell
from tunekit.storages.memory.storage import MemoryStorage

SPACE = tk.Space(x=tk.Float(0, 1))


def curve(trial):
    for step in range(20):
        trial.report(trial.params["x"] + 1 / (step + 1), step)
    return trial.params["x"]


@pytest.mark.parametrize("workers", [1, 2])
def test_the_median_rule_stops_bad_trials_and_says_why(workers):
    study = tk.study(space=SPACE, sampler="random", stopper="median", seed=4)
    study.optimize(curve, n_trials=30, workers=workers)
    stopped = [t for t in study.trials if t.state is TrialState.STOPPED]
    complete = [t for t in study.trials if t.state is TrialState.COMPLETE]
    assert stopped and complete
    reports = study.reports()
    assert sum(len(reports[t.number]) for t in stopped) < 20 * len(stopped)
    for trial in stopped:
        assert "median" in trial.end_reason
        assert trial.stop_evidence
    assert study.best_value == min(t.params["x"] for t in study.trials)
    assert all(len(reports[t.number]) == 20 for t in complete)


def test_a_trial_that_crashes_hangs_or_grows_costs_one_trial():
    def objective(trial):
        match trial.number:
            case 1:
                os.kill(os.getpid(), signal.SIGSEGV)
            case 3:
                threading.Event().wait()
            case 5:
                hog = bytearray(700 * 2**20)
                threading.Event().wait(60)
                del hog
        return trial.params["x"]

    study = tk.study(space=SPACE, sampler="random", seed=4)
    study.optimize(objective, n_trials=8, workers=2, trial_timeout_s=5, memory_mib=500)
    ends = {t.number: t.end_reason for t in study.trials if t.state is TrialState.FAILED}
    assert set(ends) == {1, 3, 5}
    assert "SIGSEGV" in ends[1]
    assert "5 s" in ends[3]
    assert "500" in ends[5]
    assert len(study.history.complete()) == 5


def test_two_halves_of_a_gpu_share_one_device_and_a_third_trial_waits():
    def objective(trial):
        return {"value": 1.0, "device": float(os.environ["CUDA_VISIBLE_DEVICES"])}

    study = tk.study(space=SPACE, sampler="random", seed=4)
    study.optimize(objective, n_trials=6, workers=4, resources={"gpu": 0.5}, devices=["3", "7"])
    assert {t.metrics["device"] for t in study.trials} <= {3.0, 7.0}
    with pytest.raises(tk.TunekitError, match="3"):
        study.optimize(objective, n_trials=1, workers=1, resources={"gpu": 3}, devices=["3", "7"])


def simulated(n_slots, n_trials, curves):
    spec = StudySpec("s", (ObjectiveSpec("loss"),), space=SPACE, seed=1)
    storage = MemoryStorage()
    worker = Worker(StudyReader(storage, storage.create_study(spec)), make("sampler", "random"))
    executor = SimulatedExecutor(n_slots)
    runner = Orchestrator(worker, executor, goal=Goal(n_trials), settings=Settings())
    assert runner.run(Replay(curves)) == "done"
    return worker, executor


def test_a_thousand_hours_on_many_slots_are_simulated():
    def hours(params):
        return [(3600.0, {"loss": params["x"] + 1 / (i + 1)}) for i in range(10)]

    worker, executor = simulated(100, 100, hours)
    assert len(worker.reader.history.complete()) == 100
    assert executor.clock == pytest.approx(10 * 3600.0)
    worker, executor = simulated(10, 100, hours)
    assert executor.clock == pytest.approx(100 * 3600.0)


def test_a_result_is_dropped_when_another_worker_has_the_trial(tmp_path):
    url = f"sqlite:///{tmp_path}/l.db"
    study = tk.study("l", space=SPACE, storage=url, sampler="random", seed=1)
    thief = tk.load_study("l", storage=url)

    def objective(trial):
        if trial.number == 1:
            # Another worker takes the trial over (as after a long freeze) and finishes it.
            thief.storage.expire(thief.id, [(1, 1)])
            worker = thief._worker
            lease = worker.exchange((), claim=1).leases[0]
            told = Outcome(TrialState.COMPLETE, {"value": -1.0})
            worker.exchange([Tell(lease.number, lease.epoch, told, "theirs")])
        return trial.params["x"]

    study.optimize(objective, n_trials=3)
    assert study.trials[1].metrics == {"value": -1.0}
    assert [t.state for t in study.trials] == ["complete"] * 3


def test_a_space_that_another_process_edited_is_read_before_the_next_edit(tmp_path):
    url = f"sqlite:///{tmp_path}/s.db"
    study = tk.study("s", space=tk.Space(x=tk.Float(0, 1)), storage=url, sampler="random")
    tk.load_study("s", storage=url).edit_space(tk.Space(x=tk.Float(0, 2)))
    assert study.space == tk.Space(x=tk.Float(0, 2))
    assert study.enqueue_trial({"x": 1.5}) == 0
    assert study.edit_space(tk.Space(x=tk.Float(0, 3))).version == 3


def test_a_proposal_that_cannot_be_stored_gives_its_lease_back():
    class Careless:
        name = "careless"

        def suggest(self, view, numbers):
            params = view.space.complete({"x": 0.5})
            return [Proposal(params, "careless", evidence={"a": object()}) for _ in numbers]

    study = tk.study(space=tk.Space(x=tk.Float(0, 1)), sampler=Careless())
    with pytest.raises(InvalidArgument, match="JSON"):
        study.ask()
    assert [t.state for t in study.trials] == [TrialState.WAITING]


@pytest.mark.parametrize("text", ["10ms", "1hd", "5 minutes"])
def test_a_timeout_in_an_unknown_unit_is_an_error(text):
    with pytest.raises(InvalidArgument, match="timeout"):
        tk.study(space=SPACE).optimize(curve, timeout=text)


@pytest.mark.parametrize("workers", [1, 3])
def test_a_callback_that_raises_leaves_no_trial_running(workers):
    def broken(study, trial):
        raise KeyError("callback")

    study = tk.study(space=SPACE, sampler="random", seed=1)
    with pytest.raises(KeyError):
        study.optimize(lambda t: t.params["x"], n_trials=9, workers=workers, callbacks=[broken])
    assert TrialState.RUNNING not in study.refresh().counts()
    study.optimize(lambda t: t.params["x"], total_trials=9, workers=workers)
    assert study.refresh().counts() == {TrialState.COMPLETE: 9}


@pytest.mark.parametrize(("may_end", "left"), [(True, set()), (False, {TrialState.WAITING})])
def test_a_sampler_that_raises_leaves_no_trial_running(may_end, left):
    class Broken:
        name = "broken"

        def suggest(self, view, numbers):
            raise ZeroDivisionError("sampler")

    Broken.may_end = may_end  # one that does not end is asked once its trials are claimed
    study = tk.study(space=SPACE, sampler=Broken(), seed=1)
    with pytest.raises(ZeroDivisionError):
        study.optimize(lambda t: 0.0, n_trials=3)
    assert set(study.refresh().counts()) == left


def test_a_run_whose_heart_slept_does_not_claim_from_itself(monkeypatch):
    study = tk.study(space=SPACE, sampler="random", seed=1)
    now = time.time

    def objective(trial):
        return trial.params["x"]

    def sleep_an_hour(study, trial):
        if trial.number == 0:
            monkeypatch.setattr(time, "time", lambda: now() + 3600)

    study.optimize(objective, n_trials=6, workers=2, callbacks=[sleep_an_hour])
    assert [t.epoch for t in study.trials] == [1] * 6
    assert study.history.counts() == {TrialState.COMPLETE: 6}


@pytest.mark.parametrize(("stopper", "awaits"), [(None, False), ("median", True)])
def test_trials_await_decisions_only_where_a_stopper_makes_them(stopper, awaits):
    class Watched(InlineExecutor):
        def start(self, task):
            seen.add(task.awaits_decisions)
            super().start(task)

    seen = set()
    study = tk.study(space=SPACE, sampler="random", stopper=stopper, seed=4)
    study.optimize(curve, n_trials=2, executor=Watched())
    assert seen == {awaits}


def test_all_reports_of_processes_are_stored_in_order_without_a_stopper():
    study = tk.study(space=SPACE, sampler="random", seed=4)
    study.optimize(curve, n_trials=6, workers=2)
    for trial in study.trials:
        kept = study.reports()[trial.number]
        assert [r.step for r in kept] == list(range(20))
        assert trial.metrics["value"] == trial.params["x"]
