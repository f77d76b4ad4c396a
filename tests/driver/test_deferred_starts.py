"""The start of a trial is written with its result, or by the heartbeat if that takes longer."""

import time

import pytest

import tunekit as tk
from tunekit.driver import held_leases
from tunekit.driver.held_leases import HeldLeases
from tunekit.driver.study_reader import StudyReader
from tunekit.driver.worker import Worker
from tunekit.errors import StorageUnreachable
from tunekit.records import ObjectiveSpec, StudySpec
from tunekit.samplers.random import RandomSampler
from tunekit.spaces import Float, Space
from tunekit.storages.memory.storage import MemoryStorage

PATIENCE_S = 60.0


def test_the_params_of_a_long_trial_are_stored_while_it_runs(tmp_path):
    url = f"sqlite:///{tmp_path}/studies.db"
    study = tk.study("long", space={"x": tk.Float(0, 1)}, storage=url, sampler="random")
    reader = tk.load_study("long", storage=url)
    seen = []

    def waits_to_be_seen(trial):
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until and not seen:
            record = reader.trials[-1]
            if record.params:
                seen.append(dict(record.params))
        return trial.params["x"]

    study.optimize(waits_to_be_seen, n_trials=1)
    assert seen == [dict(study.trials[0].params)]


class Flaky(MemoryStorage):
    """Refuses exchanges on demand."""

    is_away = False

    def exchange(self, study_id, worker, operations=(), **options):
        if self.is_away:
            raise StorageUnreachable("the storage does not answer; try again.")
        return super().exchange(study_id, worker, operations, **options)


@pytest.fixture
def storage():
    return Flaky()


@pytest.fixture
def worker(storage):
    space = Space({"x": Float(0, 1)})
    record = storage.create_study(StudySpec("s", (ObjectiveSpec("value"),), space))
    return Worker(StudyReader(storage, record), RandomSampler())


@pytest.fixture
def leases(worker, monkeypatch):
    """Two leases of a run whose starts are due at once."""
    monkeypatch.setattr(held_leases, "START_S", 0.0)
    return HeldLeases(worker, lease_s=60)


def _propose(worker, leases):
    tasks, starts = worker.propose(worker.exchange((), claim=2).leases, lease_s=60)
    leases.held |= {t.number: t for t in tasks}
    leases.defer(starts)
    return starts


def _params(worker):
    trials = worker.reader.storage.changes(worker.reader.record.id).trials
    return [None if t.params is None else dict(t.params) for t in trials]


def test_a_beat_writes_the_starts_that_are_due_once(worker, leases):
    starts = _propose(worker, leases)
    assert _params(worker) == [None, None]
    leases.beat()
    assert _params(worker) == [dict(s.proposal.params) for s in starts]
    assert leases.take_starts() == []


def test_starts_that_a_beat_could_not_write_are_left_to_the_loop(worker, leases, storage):
    starts = _propose(worker, leases)
    storage.is_away = True
    with pytest.raises(StorageUnreachable):
        leases.beat()
    leases.beat()  # does not try again
    storage.is_away = False
    assert leases.take_starts() == starts
    assert _params(worker) == [None, None]


def test_a_start_under_a_lost_lease_makes_its_trial_a_stray(worker, leases):
    _propose(worker, leases)
    worker.reader.storage.cancel_trial(worker.reader.record.id, 1, "by a person")
    leases.beat()
    assert list(leases.strays()) == [1]
