"""What one worker sees of the curves of another, while that one still runs."""

import pytest

import tunekit as tk
from tunekit.driver.foreign_curves import ForeignCurves
from tunekit.driver.study_reader import StudyReader
from tunekit.driver.worker import Worker
from tunekit.records import ObjectiveSpec, Outcome, Report, StudySpec, TrialState
from tunekit.registry import make
from tunekit.storages.base import Reports, Tell
from tunekit.storages.memory.storage import MemoryStorage

POINTS = tuple(Report(step, {"value": 1.0}) for step in range(9))


@pytest.fixture
def workers():
    """Two workers of one study, of which the first holds trials 0 and 1."""
    storage = MemoryStorage()
    spec = StudySpec("shared", (ObjectiveSpec("value"),), space=tk.Space(x=tk.Float(0, 1)))
    record = storage.create_study(spec)
    one, two = (Worker(StudyReader(storage, record), make("sampler", "random")) for _ in range(2))
    one.assign(one.exchange((), claim=2).leases, lease_s=60)
    return one, two


def test_a_worker_reads_running_curves_of_others_again_and_again(workers):
    one, two = workers
    foreign = ForeignCurves(two.reader, every_s=0)
    two.reader.refresh()
    assert foreign.read_new([]) == {}
    for n in (1, 3):
        one.exchange([Reports(0, 1, POINTS[:n])])
        two.reader.refresh()
        assert {k: len(r) for k, r in foreign.read_new([]).items()} == {0: n}


def test_between_two_looks_only_new_trials_are_read(workers):
    one, two = workers
    foreign = ForeignCurves(two.reader, every_s=3600)
    two.reader.refresh()
    foreign.read_new([])
    one.exchange([Reports(0, 1, POINTS[:3])])
    two.reader.refresh()
    assert foreign.read_new([]) == {}
    leases = one.exchange((), claim=1).leases
    one.assign(leases, lease_s=60)
    one.exchange([Reports(leases[0].number, 1, POINTS[:2])])
    two.reader.refresh()
    assert list(foreign.read_new([])) == [2]


def test_a_trial_that_has_ended_is_read_once_as_a_whole(workers):
    one, two = workers
    foreign = ForeignCurves(two.reader, every_s=0)
    one.exchange([Reports(0, 1, POINTS[:3])])
    two.reader.refresh()
    assert len(foreign.read_new([])[0]) == 3
    end = Tell(0, 1, Outcome(TrialState.COMPLETE, {"value": 1.0}), "end")
    one.exchange([Reports(0, 1, POINTS[3:]), end])
    two.reader.refresh()
    assert len(foreign.read_new([])[0]) == 9
    two.reader.refresh()
    assert 0 not in foreign.read_new([])


def test_a_worker_does_not_read_what_it_has_seen_itself(workers):
    one, _ = workers
    one.exchange([Reports(0, 1, POINTS), Reports(1, 1, POINTS)])
    one.reader.refresh()
    assert list(ForeignCurves(one.reader).read_new([0])) == [1]
