"""What a callback does to its study takes effect before the next trial is claimed."""

import pytest

import tunekit as tk
from tunekit.executors.simulated import SimulatedExecutor
from tunekit.records import TrialState
from tunekit.storages.base import Tell
from tunekit.storages.memory.storage import MemoryStorage

SPACE = tk.Space(x=tk.Float(0, 1))


def value(trial):
    return trial.params["x"]


def first(trial):
    return trial.number == 0


def new_study(**options):
    return tk.study("s", space=SPACE, sampler="random", seed=1, **options)


@pytest.mark.parametrize("url", ["memory://", "sqlite"])
@pytest.mark.parametrize("call", ["stop", "cancel"])
def test_a_study_that_ends_in_a_callback_begins_no_further_trial(call, url, tmp_path):
    study = new_study(storage=f"sqlite:///{tmp_path}/s.db" if url == "sqlite" else url)

    def end(study, trial):
        if trial.number == 2:
            getattr(study, call)()

    ending = study.optimize(value, n_trials=20, callbacks=end)
    assert ending == ("stopped" if call == "stop" else "cancelled")
    assert study.refresh().counts() == {TrialState.COMPLETE: 3}


@pytest.mark.parametrize("workers", [2, 3])
def test_of_several_workers_those_finish_that_run_when_a_callback_stops_the_study(workers):
    study = new_study()
    study.optimize(value, n_trials=20, workers=workers, callbacks=lambda s, t: s.stop())
    assert study.refresh().counts() == {TrialState.COMPLETE: workers}


def test_a_paused_study_claims_nothing_until_it_goes_on():
    study = new_study()
    claimed_at = []

    def pause(study, trial):
        if trial.number == 1:
            study.pause()
            claimed_at.append(len(study.trials))

    class Resuming:
        """Lets the study go on once its run says that it waits."""

        def start(self, name, history, goal): ...
        def update(self, history, running): ...
        def close(self): ...

        def event(self, text):
            if "paused" in text:
                claimed_at.append(len(study.trials))
                study.resume()

    study.optimize(value, n_trials=4, callbacks=pause, progress=Resuming())
    assert claimed_at == [2, 2]
    assert len(study.trials) == 4


@pytest.mark.parametrize("slots", [1, 2])
def test_a_trial_that_a_callback_enqueues_runs_next(slots):
    study = new_study()

    def enqueue(study, trial):
        if trial.number == 0:
            study.enqueue_trial({"x": 0.25})

    executor = SimulatedExecutor(slots, duration=lambda params: 1.0)
    study.optimize(value, n_trials=6, executor=executor, callbacks=enqueue)
    queued = [t for t in study.trials if t.sampler == "user"]
    assert [(t.number, t.params["x"]) for t in queued] == [(slots, 0.25)]


def test_a_trial_that_the_last_callback_enqueues_belongs_to_the_total():
    study = new_study()
    enqueue = {2: 0.25, 3: 0.5}

    def add(study, trial):
        if trial.number in enqueue:
            study.enqueue_trial({"x": enqueue[trial.number]})

    assert study.optimize(value, total_trials=3, callbacks=add) == "done"
    assert study.refresh().counts() == {TrialState.COMPLETE: 5}


def test_an_exhausted_grid_runs_what_its_last_callback_enqueues():
    study = tk.study(space=tk.Space(x=tk.Int(0, 3)), sampler="grid")

    def enqueue(study, trial):
        if trial.number == 3:
            study.enqueue_trial({"x": 2})

    ending = study.optimize(lambda t: t.params["x"], n_trials=9, callbacks=enqueue)
    assert ending == "exhausted"
    assert study.refresh().counts() == {TrialState.COMPLETE: 5}


@pytest.mark.parametrize("workers", [1, 2])
def test_in_a_shared_run_a_callback_stops_its_study_alone(workers):
    one, two = (
        tk.study(name, space=SPACE, sampler="random", storage=MemoryStorage()) for name in "ab"
    )
    run = tk.share(workers)
    run.add(one, value, n_trials=20, callbacks=lambda s, t: s.stop())
    run.add(two, value, n_trials=6)
    assert run.run() == {"a": "stopped", "b": "done"}
    assert len(one.trials) <= workers
    assert len(two.trials) == 6


class Counting(MemoryStorage):
    """Notes for each exchange whether it told and whether it claimed."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def exchange(self, study_id, worker, operations=(), *, claim=None, **options):
        self.seen.append((any(isinstance(op, Tell) for op in operations), claim is not None))
        return super().exchange(study_id, worker, operations, claim=claim, **options)


def test_without_callbacks_one_exchange_starts_tells_and_claims():
    storage = Counting()
    new_study(storage=storage).optimize(value, n_trials=3)
    assert storage.seen == [(False, True), (True, True), (True, True), (True, False)]
