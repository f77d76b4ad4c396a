"""Tests imported trials and copies of studies."""

# ruff: noqa: D102 - the name of a test is its sentence

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tunekit.errors import InvalidArgument, StudyExists, UnknownStudy
from tunekit.records import Outcome, Report, TrialRecord, TrialState
from tunekit.spaces import Float, Params, Space
from tunekit.storages.base import Pause, Reports, Storage
from tunekit.studies.catalogue import copy_study, delete_study, study_names
from tunekit.testing.storages.access import Access, Rules, start, tell

FOREIGN = TrialRecord(
    7,
    TrialState.COMPLETE,
    params=Params({"x": 0.25, "kind": "ü"}),
    sampler="elsewhere",
    reason="it was there",
    evidence={"a": [1, None]},
    metrics={"loss": 0.5, "ms": math.inf},
    stop_evidence={"audit": {"at": 1.0}},
    user_attrs={"note": "n"},
    worker="them",
    created=1000.0,
    started=1001.5,
    finished=1003.0,
)


class AddedRules(Rules):
    """Rules: imported trials are stored unchanged; a copy equals its study."""

    def test_an_added_trial_is_as_it_was_elsewhere(self, access: Access) -> None:
        access.take()
        curve = {7: [Report(0, {"loss": 2.0}), Report(3, {"loss": math.nan})]}
        assert access.storage.add_trials(access.id, [FOREIGN], curve) == [1]
        found = access.trial(1)
        assert found == replace(FOREIGN, number=1, seq=found.seq, epoch=1)
        assert access.kinds(1) == ["added"]
        reports = access.storage.reports(access.id)[1]
        assert [r.step for r in reports] == [0, 3]
        assert math.isnan(reports[1].metrics["loss"])
        assert access.storage.get_study("study").n_trials == 2

    @pytest.mark.parametrize("state", [s for s in TrialState if s.is_finished])
    def test_an_added_trial_keeps_every_end(self, access: Access, state: TrialState) -> None:
        ended = replace(FOREIGN, state=state, error="Traceback", end_reason="why")
        access.storage.add_trials(access.id, [ended], {})
        found = access.trial(0)
        assert (found.state, found.error, found.end_reason) == (state, "Traceback", "why")
        assert access.claim()[0].number == 1

    def test_an_added_waiting_trial_is_claimed_first(self, access: Access) -> None:
        point = TrialRecord(0, TrialState.WAITING, params=Params({"x": 0.5}))
        whole = replace(point, number=1, sampler="random")
        access.storage.add_trials(access.id, [point, whole], {})
        leases = access.claim(3)
        assert [x.number for x in leases] == [0, 1, 2]
        assert [x.partial for x in leases] == [True, False, False]
        assert leases[1].params == {"x": 0.5}

    def test_a_trial_that_runs_elsewhere_is_refused_and_leaves_nothing(
        self, access: Access
    ) -> None:
        running = replace(FOREIGN, state=TrialState.RUNNING)
        pointless = replace(FOREIGN, params=None)
        odd = replace(FOREIGN, user_attrs={"a": object()})
        far = {7: [Report(2**63, {"loss": 1.0})]}
        for bad, words in (
            (running, "running elsewhere"),
            (pointless, "without params"),
            (odd, "plain JSON"),
        ):
            with pytest.raises(InvalidArgument, match=words):
                access.storage.add_trials(access.id, [FOREIGN, bad], {})
        with pytest.raises(InvalidArgument, match="64-bit integer"):
            access.storage.add_trials(access.id, [FOREIGN], far)
        assert access.trials() == {}
        assert access.storage.add_trials(access.id, [], {}) == []

    def test_a_deleted_study_takes_no_trials(self, access: Access) -> None:
        delete_study("study", storage=access.storage)
        assert study_names(storage=access.storage) == []
        with pytest.raises(UnknownStudy, match="deleted"):
            access.storage.add_trials(access.id, [FOREIGN], {})
        with pytest.raises(UnknownStudy):
            delete_study(study_name="study", storage=access.storage)

    def test_a_copy_has_the_trials_and_the_spaces_of_the_study(self, storage: Storage) -> None:
        first, second = Space(x=Float(0.0, 1.0)), Space(x=Float(0.0, 2.0))
        access = Access(storage, space=first, seed=5, attrs={"team": "a"})
        a, b, c = (access.take() for _ in range(3))
        access.send(Reports(0, a.epoch, (Report(1, {"loss": 3.0}),)), tell(a, 0.5))
        access.send(Reports(1, b.epoch, (Report(1, {"loss": 3.0}),)))
        access.send(Pause(2, c.epoch, Outcome(TrialState.PAUSED, {"loss": 1.0}, "later")))
        access.enqueue({"x": 0.75})
        storage.set_space(access.id, second, expected_version=1)
        copy_study("study", from_storage=storage, to_study_name="copy")
        assert study_names(storage=storage) == ["copy", "study"]
        made, old = storage.get_study("copy"), storage.get_study("study")
        assert made.spec == replace(old.spec, name="copy")
        assert storage.spaces(made.id) == {1: first, 2: second}
        trials = {t.number: t for t in storage.changes(made.id).trials}
        was = access.trial(0)
        assert trials[0] == replace(was, seq=trials[0].seq, epoch=1)
        waiting = (trials[1], trials[2], trials[3])
        assert {t.state for t in waiting} == {TrialState.WAITING}
        assert [t.params for t in waiting] == [{"x": 0.5}, {"x": 0.5}, {"x": 0.75}]
        assert sorted(storage.reports(made.id)) == [0]
        assert access.trial(1).state is TrialState.RUNNING

    def test_a_copy_is_apart_from_the_study(self, storage: Storage) -> None:
        access = Access(storage)
        lease = access.take()
        copy_study("study", from_storage=storage, to_study_name="copy")
        access.send(tell(lease))
        made = storage.get_study("copy")
        assert storage.changes(made.id).trials[0].state is TrialState.WAITING
        with pytest.raises(StudyExists):
            copy_study("study", from_storage=storage, to_study_name="copy")
        delete_study("study", storage=storage)
        assert study_names(storage=storage) == ["copy"]
        with pytest.raises(UnknownStudy, match='did you mean "copy"'):
            copy_study("copi", from_storage=storage, to_study_name="third")
        assert storage.exchange(made.id, "w", [start(lease)]).statuses == ("lost",)
