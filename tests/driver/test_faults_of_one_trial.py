"""What goes wrong around one trial fails this trial alone: the others keep their results."""

import logging

import pytest

import tunekit as tk
from tunekit.driver.outbox import write
from tunekit.driver.study_reader import StudyReader
from tunekit.driver.worker import Worker
from tunekit.errors import StorageError, StorageUnreachable
from tunekit.executors.inline import InlineExecutor
from tunekit.executors.simulated import SimulatedExecutor
from tunekit.records import (
    CONTINUE,
    Decision,
    ObjectiveSpec,
    Outcome,
    Report,
    StudySpec,
    TrialState,
)
from tunekit.registry import make
from tunekit.storages.base import Release, Reports, Tell
from tunekit.storages.memory.storage import MemoryStorage

SPACE = tk.Space(x=tk.Float(0, 1))
TWICE = pytest.mark.parametrize("workers", [1, 2])


def states(study):
    return {t.number: str(t.state) for t in study.trials}


def reporting(trial):
    trial.report(trial.params["x"], 0)
    return trial.params["x"]


def only(number, state="failed", n=6):
    return {k: state if k == number else "complete" for k in range(n)}


@TWICE
def test_a_parameter_asked_as_another_kind_fails_its_trial_and_no_later_run(workers, tmp_path):
    def objective(trial):
        return trial.suggest_int("n", 1, 9)

    def other(trial):
        return trial.suggest_float("n", 0, 1)

    study = tk.study("s", storage=f"sqlite:///{tmp_path}/s.db", sampler="random", seed=1)
    study.optimize(objective, n_trials=3, workers=workers)
    study.optimize(other, n_trials=1, workers=workers)
    study.optimize(objective, n_trials=2, workers=workers)
    assert states(study) == only(3)
    assert '"n" was asked as Int' in study.trials[3].end_reason
    assert tk.load_study("s", storage=study.storage.url).optimize(objective, n_trials=1) == "done"


@TWICE
def test_an_objective_that_failed_keeps_its_own_reason_beside_a_bad_parameter(workers):
    def objective(trial):
        if trial.number == 1:
            trial.suggest_float("n", 0, 1)
            raise ValueError("boom")
        return trial.suggest_int("n", 1, 9)

    study = tk.study(sampler="random", seed=1)
    study.optimize(objective, n_trials=1)
    study.optimize(objective, n_trials=2, workers=workers)
    assert study.trials[1].end_reason == "ValueError: boom"


@TWICE
def test_a_step_that_no_database_holds_is_refused_where_it_is_reported(workers, tmp_path):
    def objective(trial):
        trial.report(1.0, 2**63 if trial.number == 2 else 2**63 - 1)
        return 1.0

    study = tk.study("s", space=SPACE, storage=f"sqlite:///{tmp_path}/s.db", sampler="random")
    assert study.optimize(objective, n_trials=6, workers=workers) == "done"
    assert states(study) == only(2)
    assert "64-bit integer" in study.trials[2].end_reason
    assert [t.epoch for t in study.trials] == [1] * 6


class Strange:
    """A stopper that does something wrong with trial 2 and lets all others go on."""

    name = "strange"

    def __init__(self, wrong):
        self.wrong = wrong

    def decide(self, number, view):
        return self.wrong() if number == 2 else CONTINUE


def raises():
    raise ZeroDivisionError("stopper")


@TWICE
@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (raises, "its stopper failed: ZeroDivisionError: stopper"),
        (lambda: None, 'the stopper "strange" returned None, expected a Decision'),
        (lambda: Decision("stop", "x", {"a": object()}), 'the evidence of the stopper "strange"'),
        (lambda: Decision("continue", "x", {"audit": {"a": object()}}), "expected plain JSON"),
    ],
)
def test_a_stopper_that_fails_fails_the_trial_that_it_was_asked_for(workers, wrong, sentence):
    study = tk.study(space=SPACE, sampler="random", stopper=Strange(wrong), seed=1)
    assert study.optimize(reporting, n_trials=6, workers=workers) == "done"
    assert states(study) == only(2)
    assert sentence in study.trials[2].end_reason
    assert [t.epoch for t in study.trials] == [1] * 6


class Unkept:
    """What follows the checkpoints fails for trial 2 at one of its steps."""

    def __init__(self, keeper, step):
        self._tracker = keeper
        self._step = step

    def __getattr__(self, name):
        if name != self._step:
            return getattr(self._tracker, name)

        def step(number, *args):
            if number == 2:
                raise OSError("the place is gone")
            return getattr(self._tracker, name)(number, *args)

        return step


@pytest.mark.parametrize("step", ["origin", "begin", "note_report", "delete_leftovers"])
def test_checkpoints_that_cannot_be_followed_fail_their_trial(step):
    study = tk.study(space=SPACE, sampler="random", seed=1)
    study._worker.checkpoints = Unkept(study._worker.checkpoints, step)
    assert study.optimize(reporting, n_trials=6) == "done"
    assert states(study) == only(2)
    assert "OSError: the place is gone" in study.trials[2].end_reason


class Broken(InlineExecutor):
    """Cannot start trial 2."""

    def start(self, task):
        if task.number == 2:
            raise OSError("no more processes")
        super().start(task)


def test_a_task_that_cannot_be_started_fails():
    study = tk.study(space=SPACE, sampler="random", seed=1)
    assert study.optimize(reporting, n_trials=6, executor=Broken()) == "done"
    assert states(study) == only(2)
    assert study.trials[2].end_reason == "it could not start: OSError: no more processes"


class Speechless:
    """A display that fails at one of its calls."""

    def __init__(self, call):
        self.call = call

    def __getattr__(self, name):
        def act(*args):
            if name == self.call:
                raise RuntimeError("display")

        return act


@pytest.mark.parametrize("call", ["start", "update", "event", "close"])
def test_a_display_that_fails_is_left_out(call, caplog):
    study = tk.study(space=SPACE, sampler="random", seed=1)
    assert study.optimize(reporting, n_trials=4, progress=Speechless(call)) == "done"
    assert set(states(study).values()) == {"complete"}
    assert caplog.text.count("the display of the run failed") == 1


class Picky(MemoryStorage):
    """Refuses a batch with a result of 2 in it, as a database refuses what it cannot hold."""

    error = OverflowError("too large to convert")

    def exchange(self, study_id, worker, operations=(), **options):
        for op in operations:
            if isinstance(op, Tell) and op.outcome.metrics == {"value": 2.0}:
                raise self.error
            if isinstance(op, Reports) and any(r.step == 2 for r in op.reports):
                raise self.error
        return super().exchange(study_id, worker, operations, **options)


@TWICE
def test_a_result_that_the_storage_refuses_fails_its_trial(workers):
    study = tk.study(space=SPACE, sampler="random", storage=Picky())
    assert study.optimize(lambda t: t.number, n_trials=6, workers=workers) == "done"
    assert states(study) == only(2)
    assert study.trials[2].end_reason == "OverflowError: too large to convert"
    assert [t.epoch for t in study.trials] == [1] * 6


@TWICE
def test_a_report_that_the_storage_refuses_fails_its_trial(workers):
    def objective(trial):
        trial.report(1.0, trial.number)
        trial.report(1.0, trial.number + 10)
        return 0.0

    study = tk.study(space=SPACE, sampler="random", storage=Picky())
    assert study.optimize(objective, n_trials=6, workers=workers) == "done"
    assert states(study) == only(2)


def test_refused_results_count_among_the_failures_of_a_run():
    study = tk.study(space=SPACE, sampler="random", storage=Picky())
    with pytest.raises(tk.TunekitError, match="trial 1: OverflowError"):
        study.optimize(lambda t: 2.0, n_trials=9, max_failed_trials=1)


@pytest.fixture
def worker():
    storage = Picky()
    spec = StudySpec("s", (ObjectiveSpec("value"),), space=SPACE)
    made = Worker(StudyReader(storage, storage.create_study(spec)), make("sampler", "random"))
    made.assign(made.exchange((), claim=4).leases, lease_s=60)
    return made


def told(number, value):
    return Tell(number, 1, Outcome(TrialState.COMPLETE, {"value": value}), f"key {number}")


def test_a_batch_is_written_in_parts_and_claims_once(worker):
    bad = [Reports(2, 1, (Report(2, {"value": 1.0}),)), told(2, 5.0)]
    batch = [told(0, 1.0), *bad, told(1, 2.0), Release(3, 1, "later")]
    done = write(worker, batch, claim=1, lease_s=60)
    assert [type(op) for op in done.operations] == [Tell, Tell, Tell, Release]
    assert done.statuses == ("ok",) * 4
    assert set(done.failed) == {(1, 1), (2, 1)}
    assert [x.number for x in done.answer.leases] == [3]
    worker.reader.refresh()
    found = [str(t.state) for t in worker.reader.history]
    assert found == ["complete", "failed", "failed", "running"]


@pytest.mark.parametrize("error", [StorageUnreachable("away"), StorageError("disk full")])
def test_a_storage_that_takes_nothing_ends_the_run_and_fails_no_trial(error, monkeypatch):
    study = tk.study(space=SPACE, sampler="random", seed=1)
    exchange = study.storage.exchange

    def refuse(study_id, worker, operations=(), **options):
        if any(isinstance(op, Tell) and op.number == 2 for op in operations):
            raise error
        return exchange(study_id, worker, operations, **options)

    monkeypatch.setattr(study.storage, "exchange", refuse)
    with pytest.raises(type(error)):
        study.optimize(reporting, n_trials=6)
    assert states(study) == {0: "complete", 1: "complete", 2: "running"}


def test_a_storage_that_is_away_while_a_trial_reports_ends_the_run_and_no_trial(monkeypatch):
    study = tk.study(space=SPACE, sampler="random", seed=1)
    exchange = study.storage.exchange

    def refuse(study_id, worker, operations=(), **options):
        if any(isinstance(op, Reports) and op.number == 2 for op in operations):
            raise StorageUnreachable("away")
        return exchange(study_id, worker, operations, **options)

    def objective(trial):
        for step in range(50):
            trial.report(1.0, step)
        return 1.0

    monkeypatch.setattr(study.storage, "exchange", refuse)
    with pytest.raises(StorageUnreachable):
        study.optimize(objective, n_trials=6)
    assert TrialState.FAILED not in study.refresh().counts()


@TWICE
def test_a_callback_that_raises_costs_no_result(workers):
    def objective(trial):
        for step in range(3):
            trial.report(1.0, step)
        return 1.0

    def broken(study, trial):
        raise KeyError("callback")

    study = tk.study(space=SPACE, sampler="random", seed=1)
    with pytest.raises(KeyError, match="callback"):
        study.optimize(objective, n_trials=6, workers=workers, callbacks=broken)
    counts = study.refresh().counts()
    assert set(counts) <= {TrialState.COMPLETE, TrialState.WAITING}
    assert counts[TrialState.COMPLETE] >= 1


def test_an_error_whose_text_cannot_be_made_still_ends_the_run_in_order(caplog):
    class Mute(Exception):
        def __str__(self):
            raise RuntimeError("no text")

        __repr__ = __str__

    def broken(study, trial):
        raise Mute

    def steps(trial):
        yield 1.0 + trial.number, {"value": 1.0}
        return 1.0

    study = tk.study(space=SPACE, sampler="random", seed=1)
    with caplog.at_level(logging.WARNING), pytest.raises(Mute):
        study.optimize(steps, n_trials=6, executor=SimulatedExecutor(3), callbacks=broken)
    assert set(study.refresh().counts()) == {TrialState.COMPLETE, TrialState.WAITING}
