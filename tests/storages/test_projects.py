"""Projects: the same name twice in one storage, and no way to what others have."""

from __future__ import annotations

from pathlib import Path

import pytest

import tunekit as tk
from tunekit.errors import InvalidArgument, UnknownStudy
from tunekit.records import StudyState
from tunekit.storages.memory.storage import MemoryStorage
from tunekit.storages.project import ProjectStorage
from tunekit.storages.urls import open_storage
from tunekit.testing.storages.access import spec


def test_two_projects_have_studies_of_one_name() -> None:
    every = MemoryStorage()
    vision, text = ProjectStorage(every, "vision"), ProjectStorage(every, "text")
    a, b = vision.create_study(spec("digits", seed=1)), text.create_study(spec("digits", seed=2))
    assert (a.spec.name, b.spec.name) == ("digits", "digits")
    assert vision.get_study("digits").spec.seed == 1
    assert [r.spec.name for r in text.list_studies()] == ["digits"]
    assert [r.spec.name for r in every.list_studies()] == ["text/digits", "vision/digits"]
    vision.delete_study("digits")
    assert [r.spec.name for r in every.list_studies()] == ["text/digits"]


def test_the_id_of_another_projects_study_opens_nothing() -> None:
    every = MemoryStorage()
    vision, text = ProjectStorage(every, "vision"), ProjectStorage(every, "text")
    foreign = text.create_study(spec("digits")).id
    uses = [
        lambda: vision.record(foreign),
        lambda: vision.changes(foreign),
        lambda: vision.reports(foreign),
        lambda: vision.events(foreign),
        lambda: vision.spaces(foreign),
        lambda: vision.exchange(foreign, "w"),
        lambda: vision.exchange_many(foreign, []),
        lambda: vision.enqueue(foreign, [{"x": 1}], user_attrs={}),
        lambda: vision.set_state(foreign, StudyState.CANCELLED),
        lambda: vision.set_attrs(foreign, {"a": 1}),
        lambda: vision.set_trial_attrs(foreign, 0, {"a": 1}),
        lambda: vision.cancel_trial(foreign, 0, "mine"),
        lambda: vision.promote(foreign, {0: "mine"}),
        lambda: vision.expire(foreign, [(0, 1)]),
    ]
    for use in uses:
        with pytest.raises(UnknownStudy):
            use()
    assert text.get_study("digits").seq == 0


def test_an_unknown_name_is_answered_without_the_names_of_others() -> None:
    every = MemoryStorage()
    ProjectStorage(every, "text").create_study(spec("secret"))
    vision = ProjectStorage(every, "vision")
    for use in (vision.get_study, vision.delete_study):
        with pytest.raises(UnknownStudy) as refused:
            use("secrets")
        assert "text" not in str(refused.value)
        assert '"secret"' not in str(refused.value)


def test_a_url_names_the_project_and_opens_it_again(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/team.db"
    study = tk.study("digits", storage=f"{url}?project=vision+1", objectives="error", seed=1)
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), 3)
    again = open_storage(study.storage.url)
    assert again.get_study("digits").n_trials == 3
    again.close()
    whole = open_storage(url)
    assert [r.spec.name for r in whole.list_studies()] == ["vision 1/digits"]
    whole.close()
    study.storage.close()


@pytest.mark.parametrize("project", ["", "a/b", "x" * 65, "a\nb"])
def test_a_project_of_another_form_is_refused(project: str) -> None:
    with pytest.raises(InvalidArgument, match="project"):
        ProjectStorage(MemoryStorage(), project)


def test_a_study_is_read_by_its_id_without_listing_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    every = MemoryStorage()
    made = ProjectStorage(every, "vision").create_study(spec("digits"))
    opened = ProjectStorage(every, "vision")
    monkeypatch.setattr(MemoryStorage, "list_studies", None)  # nobody can call it
    assert opened.record(made.id) == made
    assert opened.changes(made.id).trials == ()
