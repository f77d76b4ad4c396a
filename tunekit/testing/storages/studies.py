"""Tests studies: names, states, attributes, spaces."""

# ruff: noqa: D102 - the name of a test is its sentence

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tunekit.errors import InvalidArgument, StudyExists, TrialConflict, UnknownStudy
from tunekit.records import MetricConstraint, ObjectiveSpec, StudySpec, StudyState
from tunekit.spaces import Float, Space
from tunekit.storages.base import Storage
from tunekit.testing.storages.access import Access, Rules, spec, tell


class StudyRules(Rules):
    """Rules: a study is created once, found by name, and deleted as a whole."""

    def test_a_study_comes_back_as_it_was_created(self, storage: Storage) -> None:
        made = storage.create_study(
            StudySpec(
                "digits",
                (ObjectiveSpec("error"), ObjectiveSpec("speed", "maximize")),
                (MetricConstraint("latency", "<=", 8.0),),
                seed=2**62 + 1,
                sampler="tpe",
                sampler_options={"n_startup": 10},
                max_retries=5,
                stopper="asha",
                stopper_options={"eta": 3},
                audit=0.25,
                attrs={"command": ["tunekit", "run"]},
            )
        )
        got = storage.get_study("digits")
        assert got == made
        assert got.state is StudyState.ACTIVE
        assert (got.seq, got.n_trials, got.space_version) == (0, 0, 0)
        assert got.spec.objectives[1] == ObjectiveSpec("speed", "maximize")
        assert got.spec.constraints == (MetricConstraint("latency", "<=", 8.0),)
        assert got.spec.seed == 2**62 + 1
        assert got.spec.sampler_options == {"n_startup": 10}
        assert (got.spec.stopper, got.spec.audit) == ("asha", 0.25)
        assert got.spec.stopper_options == {"eta": 3}
        assert got.spec.attrs == {"command": ["tunekit", "run"]}

    def test_a_taken_name_is_refused_and_changes_nothing(self, storage: Storage) -> None:
        storage.create_study(spec("a", seed=1))
        with pytest.raises(StudyExists, match='"a" exists'):
            storage.create_study(spec("a", seed=2))
        assert [s.spec.seed for s in storage.list_studies()] == [1]

    def test_an_unknown_name_is_answered_with_the_closest_one(self, storage: Storage) -> None:
        storage.create_study(spec("digits"))
        with pytest.raises(UnknownStudy, match='did you mean "digits"'):
            storage.get_study("digit")
        with pytest.raises(UnknownStudy):
            storage.delete_study("digit")

    def test_a_study_is_found_by_its_id(self, storage: Storage) -> None:
        made = [storage.create_study(spec(name)) for name in ("a", "b")]
        storage.set_attrs(made[1].id, {"kept": True})
        assert storage.record(made[0].id) == made[0]
        assert storage.record(made[1].id) == storage.get_study("b")
        storage.delete_study("a")
        for unknown in (made[0].id, 2**40, 2**70, -1):
            with pytest.raises(UnknownStudy, match=str(unknown)):
                storage.record(unknown)

    def test_a_renamed_study_keeps_its_id_trials_and_workers(self, storage: Storage) -> None:
        access = Access(storage, name="before")
        lease = access.take()
        storage.rename_study(access.id, "after")
        storage.rename_study(access.id, "after")
        assert [s.spec.name for s in storage.list_studies()] == ["after"]
        assert storage.record(access.id).spec.name == "after"
        assert access.kinds()[-1:] == ["study"]
        assert access.send(tell(lease)).statuses == ("ok",)
        with pytest.raises(UnknownStudy):
            storage.get_study("before")
        assert Access(storage, name="before").id != access.id

    def test_a_taken_or_unreadable_new_name_changes_nothing(self, storage: Storage) -> None:
        access, _ = Access(storage, name="a"), Access(storage, name="b")
        before = storage.record(access.id)
        with pytest.raises(StudyExists, match='"b" exists'):
            storage.rename_study(access.id, "b")
        for name in ("", "line\nbreak", "x" * 201):
            with pytest.raises(InvalidArgument, match="study name"):
                storage.rename_study(access.id, name)
        assert storage.record(access.id) == before
        with pytest.raises(UnknownStudy):
            storage.rename_study(2**40, "c")

    def test_studies_are_listed_by_name(self, storage: Storage) -> None:
        for name in ("b", "c", "a"):
            storage.create_study(spec(name))
        assert [s.spec.name for s in storage.list_studies()] == ["a", "b", "c"]

    @pytest.mark.parametrize("name", ["", "a\0b", "line\nbreak", "x" * 201])
    def test_a_name_that_cannot_be_shown_is_refused(self, storage: Storage, name: str) -> None:
        with pytest.raises(InvalidArgument, match="study name"):
            storage.create_study(spec(name))
        assert storage.list_studies() == []

    def test_a_unicode_name_is_kept(self, storage: Storage) -> None:
        storage.create_study(spec("größe 粒度 🎛"))
        assert storage.get_study("größe 粒度 🎛").spec.name == "größe 粒度 🎛"

    def test_a_deleted_study_takes_its_trials_along(self, storage: Storage) -> None:
        access, other = Access(storage, name="gone"), Access(storage, name="stays")
        access.take()
        other.take()
        storage.delete_study("gone")
        assert [s.spec.name for s in storage.list_studies()] == ["stays"]
        assert len(other.trials()) == 1
        again = Access(storage, name="gone")
        assert again.trials() == {}
        assert again.id != access.id

    def test_a_worker_of_a_deleted_study_is_told_so(self, access: Access) -> None:
        access.storage.delete_study("study")
        for use in (access.claim, access.trials, access.send):
            with pytest.raises(UnknownStudy, match="deleted"):
                use()

    @pytest.mark.parametrize("state", list(StudyState))
    def test_a_state_is_kept_and_told_with_every_exchange(
        self, access: Access, state: StudyState
    ) -> None:
        access.storage.set_state(access.id, state)
        assert access.storage.get_study("study").state is state
        assert access.send().study_state is state

    def test_setting_the_same_state_again_is_no_event(self, access: Access) -> None:
        access.storage.set_state(access.id, StudyState.PAUSED)
        access.storage.set_state(access.id, StudyState.PAUSED)
        assert access.kinds() == ["study"]

    def test_attributes_are_merged(self, access: Access) -> None:
        access.storage.set_attrs(access.id, {"a": 1, "b": [1, {"c": None}]})
        access.storage.set_attrs(access.id, {"a": "ü\0", "d": math.inf})
        attrs = access.storage.get_study("study").spec.attrs
        assert attrs == {"a": "ü\0", "b": [1, {"c": None}], "d": math.inf}

    def test_attributes_that_are_no_json_are_refused(self, access: Access) -> None:
        with pytest.raises(InvalidArgument, match="plain JSON"):
            access.storage.set_attrs(access.id, {"a": object()})
        assert access.storage.get_study("study").spec.attrs == {}

    def test_spaces_have_versions(self, storage: Storage) -> None:
        first, second = Space(x=Float(0.0, 1.0)), Space(x=Float(0.0, 2.0))
        access = Access(storage, space=first)
        assert storage.spaces(access.id) == {1: first}
        assert storage.set_space(access.id, second, expected_version=1) == 2
        assert storage.spaces(access.id) == {1: first, 2: second}
        record = storage.get_study("study")
        assert (record.space_version, record.spec.space) == (2, second)
        assert access.send().space_version == 2

    def test_a_study_without_a_space_has_version_0_of_it(self, access: Access) -> None:
        assert access.storage.spaces(access.id) == {}
        space = Space(x=Float(0.0, 1.0))
        assert access.storage.set_space(access.id, space, expected_version=0) == 1
        assert access.storage.spaces(access.id) == {1: space}

    def test_a_space_that_another_process_changed_is_a_conflict(self, storage: Storage) -> None:
        space = Space(x=Float(0.0, 1.0))
        access = Access(storage, space=space)
        storage.set_space(access.id, Space(x=Float(0.0, 2.0)), expected_version=1)
        with pytest.raises(TrialConflict, match="version 2"):
            storage.set_space(access.id, Space(x=Float(0.0, 3.0)), expected_version=1)
        assert len(storage.spaces(access.id)) == 2

    def test_new_objectives_are_stored_unless_the_study_has_changed(self, access: Access) -> None:
        storage, found = access.storage, access.storage.get_study("study")
        goal = replace(
            found.spec,
            objectives=(ObjectiveSpec("error", "maximize"),),
            constraints=(MetricConstraint.parse("size <= 2"),),
        )
        lease = access.take()
        with pytest.raises(TrialConflict, match="event"):
            storage.set_goal(access.id, goal, expected_seq=found.seq)
        assert storage.get_study("study").spec == found.spec
        now = storage.get_study("study").seq
        storage.set_goal(access.id, goal, expected_seq=now)
        stored = storage.get_study("study")
        assert (stored.spec, stored.seq) == (goal, now + 1)
        assert access.kinds()[-1] == "study"
        assert access.send(tell(lease)).statuses == ("ok",)
