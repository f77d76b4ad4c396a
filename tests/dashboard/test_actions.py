"""What a page changes: with the caller's own rights, told in a sentence where it is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from streamlit.testing.v1 import AppTest

from tunekit.records import (
    Checkpoint,
    ObjectiveSpec,
    Report,
    StudySpec,
    StudyState,
    TrialRecord,
    TrialState,
)
from tunekit.service.access.accounts import Accounts
from tunekit.service.access.passwords import Passwords
from tunekit.service.app import Service
from tunekit.spaces import Categorical, Float, Int, Params, Space
from tunekit.storages.http.browser import DASHBOARD_SERVICE, DASHBOARD_TOKEN
from tunekit.storages.project import ProjectStorage
from tunekit.storages.sql.storage import SQLStorage
from tunekit.storages.urls import open_database
from tunekit.testing.service import running_service
from tunekit.testing.team import Team
from tunekit_dashboard.actions.notes import safe_markdown

SPACE = Space(
    {
        "model": Categorical({"rbf": {"gamma": Float(1e-4, 1.0, log=True)}, "linear": {}}),
        "n": Int(1, 9),
    }
)

_SCRIPT = """
import streamlit as st
from tunekit.records import Branch
from tunekit.storages.http.messages import SpaceVersion
from tunekit_dashboard.actions import enqueue, notes, study_actions, trial_actions
from tunekit_dashboard.cards import guarded
from tunekit_dashboard.client import page_reader
from tunekit_dashboard.frame import study_frame
from tunekit_dashboard.places import place_in
from tunekit_dashboard.views import overview, space, trial

def draw():
    place = place_in(st.query_params.to_dict())
    study = study_frame(page_reader(place), place)
    DRAW

guarded(draw)
"""

Opened = Callable[..., AppTest]


class Rights:
    """A service with accounts, and a token of an editor and of a viewer of one project."""

    def __init__(self, service: Service, storage: SQLStorage, url: str) -> None:
        assert service.accounts is not None
        team = Team(service.accounts)
        team.project("vision")
        team.member("eddie", "vision", "editor")
        team.member("vera", "vision", "viewer")
        self.tokens = {name: team.token(name) for name in ("eddie", "vera")}
        self.storage = ProjectStorage(storage, "vision")
        self.url = url
        self.n = 0

    def study(self) -> int:
        """Store a study with a complete and a waiting trial."""
        self.n += 1
        spec = StudySpec(f"study {self.n}", (ObjectiveSpec("loss"),), space=SPACE)
        study_id = self.storage.create_study(spec).id
        point = Params({"model": "rbf", "model.rbf.gamma": 0.01, "n": 3})
        done = TrialRecord(
            0, TrialState.COMPLETE, params=point, metrics={"loss": 1.0},
            checkpoints=(Checkpoint(1, 0),),
        )  # fmt: skip
        waits = TrialRecord(1, TrialState.WAITING, params=point)
        self.storage.add_trials(study_id, [done, waits], {0: [Report(1, {"loss": 1.0})]})
        return study_id

    def trials(self, study_id: int) -> list[TrialRecord]:
        """Return the trials of a study by number."""
        return sorted(self.storage.changes(study_id).trials, key=lambda t: t.number)


@pytest.fixture(scope="module")
def rights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rights]:
    folder: Path = tmp_path_factory.mktemp("actions")
    url = f"sqlite:///{folder}/team.db"
    storage = SQLStorage(open_database(url))
    cheap = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    service = Service(storage, url=url, accounts=Accounts(storage.database, cheap))
    with running_service(service) as address:
        yield Rights(service, storage, address)


@pytest.fixture
def opened(rights: Rights, monkeypatch: pytest.MonkeyPatch) -> Opened:
    monkeypatch.setenv(DASHBOARD_SERVICE, rights.url)

    def run(draw: str, study_id: int, *, who: str = "eddie", **query: str) -> AppTest:
        monkeypatch.setenv(DASHBOARD_TOKEN, rights.tokens[who])
        page = AppTest.from_string(_SCRIPT.replace("DRAW", draw), default_timeout=60)
        for name, value in {"project": "vision", "study": str(study_id), **query}.items():
            page.query_params[name] = value
        return page.run()

    return run


def _press(page: AppTest, key: str) -> AppTest:
    page.button(key=key).click().run()
    assert not page.exception
    return page


def test_an_enqueued_trial_has_the_values_of_the_form_and_leaves_the_rest_to_the_sampler(
    rights: Rights, opened: Opened
) -> None:
    study = rights.study()
    page = opened("enqueue._dialog(place, {'model': 'rbf'}, {}, None)", study)
    page.number_input(key="enqueue field model.rbf.gamma").set_value(0.5)
    assert page.number_input(key="enqueue field n").value is None
    _press(page.run(), "enqueue send")
    new = rights.trials(study)[-1]
    assert (new.number, new.state) == (2, TrialState.WAITING)
    assert dict(new.params or {}) == {"model": "rbf", "model.rbf.gamma": 0.5}


def test_a_branch_starts_from_the_checkpoint(rights: Rights, opened: Opened) -> None:
    study = rights.study()
    page = opened("enqueue._dialog(place, {}, {'model': 'linear'}, Branch(0, 1))", study)
    assert "checkpoint of trial 0 at step 1" in page.markdown[0].value
    # A parameter of another branch of the space has no field.
    assert not [i for i in page.number_input if "gamma" in str(i.key)]
    _press(page, "enqueue send")
    texts = " ".join(e.value for e in page.error)
    last = rights.trials(study)[-1]
    # Trials that were added have no files behind their checkpoints: the storage decides.
    assert last.branch is not None or "checkpoint" in texts


def test_a_stopped_trial_is_cancelled_with_the_reason(rights: Rights, opened: Opened) -> None:
    study = rights.study()
    page = opened("trial_actions._stop(place, 1)", study)
    page.text_input(key="stop reason").set_value("no longer needed")
    _press(page.run(), "stop send")
    assert rights.trials(study)[1].state is TrialState.CANCELLED
    assert "no longer needed" in rights.trials(study)[1].end_reason


def test_a_trial_runs_again_as_a_new_one(rights: Rights, opened: Opened) -> None:
    study = rights.study()
    _press(opened("trial_actions._retry(place, 0, has_checkpoint=False)", study), "retry send")
    new = rights.trials(study)[-1]
    assert (new.state, new.user_attrs["retry_of"]) == (TrialState.WAITING, 0)


def test_what_the_service_refuses_is_told_where_the_reader_is(
    rights: Rights, opened: Opened
) -> None:
    study = rights.study()
    page = _press(
        opened("trial_actions._retry(place, 1, has_checkpoint=False)", study), "retry send"
    )
    assert "has not ended" in page.error[0].value
    assert len(rights.trials(study)) == 2


@pytest.mark.parametrize(
    ("dialog", "state"),
    [
        ("_pause", StudyState.PAUSED),
        ("_resume", StudyState.ACTIVE),
        ("_stop", StudyState.STOPPED),
    ],
)
def test_a_study_takes_the_state_that_was_asked_for(
    rights: Rights, opened: Opened, dialog: str, state: StudyState
) -> None:
    study = rights.study()
    if state is StudyState.ACTIVE:
        rights.storage.set_state(study, StudyState.PAUSED)
    _press(opened(f"study_actions.{dialog}(place, study.record)", study), "study state send")
    assert rights.storage.record(study).state is state


def test_ending_the_running_trials_is_asked_for_by_itself(rights: Rights, opened: Opened) -> None:
    study = rights.study()
    page = opened("study_actions._stop(place, study.record)", study)
    page.toggle(key="study stop now").set_value(True).run()
    assert "is lost" in page.warning[0].value
    _press(page, "study state send")
    assert rights.storage.record(study).state is StudyState.CANCELLED


def test_a_study_is_renamed_tagged_archived_and_restored(rights: Rights, opened: Opened) -> None:
    study = rights.study()
    page = opened("study_actions._rename(place, study.record)", study)
    assert page.button(key="study name send").disabled  # the name is the same
    page.text_input(key="study name").set_value("another name")
    _press(page.run(), "study name send")
    assert rights.storage.record(study).spec.name == "another name"
    rights.storage.set_attrs(study, {"tags": ["old", "kept"]})
    page = opened("study_actions._tags(place, study.record)", study)
    page.multiselect(key="study tags").set_value(["kept"])
    _press(page.run(), "study tags send")
    assert rights.storage.record(study).spec.attrs["tags"] == ["kept"]
    _press(opened("study_actions._archive(place, study.record)", study), "study archive send")
    assert rights.storage.record(study).spec.attrs["archived"] is True
    assert rights.storage.record(study).state is StudyState.STOPPED
    _press(opened("study_actions._restore(place, study.record)", study), "study restore send")
    assert rights.storage.record(study).spec.attrs["archived"] is False


_WIDEN = "space._widen_dialog(place, study.read('/space', SpaceVersion), 'n')"


def test_widening_says_what_stays_valid_before_it_is_stored(
    rights: Rights, opened: Opened
) -> None:
    study = rights.study()
    page = opened(_WIDEN, study)
    assert not page.info  # nothing was changed yet
    page.number_input(key="widen hi n").set_value(20).run()
    assert "2 of 2 trials stay valid" in page.info[0].value
    assert rights.storage.record(study).space_version == 1
    _press(page, "widen send")
    assert rights.storage.record(study).space_version == 2
    domain = rights.storage.spaces(study)[2].by_path["n"].domain
    assert isinstance(domain, Int) and domain.hi == 20


def test_a_bound_that_narrows_is_refused_in_a_sentence(rights: Rights, opened: Opened) -> None:
    study = rights.study()
    page = opened(_WIDEN, study)
    page.number_input(key="widen hi n").set_value(5).run()
    assert page.error and "widen" in page.error[0].value
    assert rights.storage.record(study).space_version == 1


def test_a_note_is_stored_as_typed_with_its_author_and_deleted_after_a_question(
    rights: Rights, opened: Opened
) -> None:
    study = rights.study()
    text = "**bold** <script>alert(1)</script> ![x](http://evil.example/x.png)"
    page = opened("notes._dialog(place, 0)", study)
    page.text_area(key="note text").set_value(text)
    _press(page.run(), "note send")
    page = opened("notes.notes_of(study, 0)", study)
    drawn = [e for e in page.markdown if "bold" in e.value]
    assert drawn[0].value == safe_markdown(text)
    assert not drawn[0].allow_html
    assert any("eddie" in c.value for c in page.caption)
    note = next(str(b.key) for b in page.button if str(b.key).startswith("delete note "))
    _press(opened(f"notes._confirm(place, {note.rpartition(' ')[2]})", study), "note delete")
    page = opened("notes.notes_of(study, 0)", study)
    assert not [e for e in page.markdown if "bold" in e.value]


def test_a_note_on_the_study_stands_on_its_overview_and_one_on_a_trial_does_not(
    rights: Rights, opened: Opened
) -> None:
    study = rights.study()
    for number, text in (("None", "about all"), ("0", "about one")):
        page = opened(f"notes._dialog(place, {number})", study)
        page.text_area(key="note text").set_value(text)
        _press(page.run(), "note send")
    page = opened("overview.show(study)", study)
    texts = [e.value for e in page.markdown]
    assert "about all" in texts and "about one" not in texts


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("![x](http://evil/x.png)", "&#33;[x](http://evil/x.png)"),
        ("! [x][ref]", "&#33; [x][ref]"),
        ("stop! then go", "stop! then go"),
        (r"\![x](http://evil/x.png)", r"\&#33;[x](http://evil/x.png)"),
        (":red[x] :material/home: at 10:30", "&#58;red[x] &#58;material/home: at 10:30"),
    ],
)
def test_markdown_of_a_note_loads_nothing_and_uses_no_directive(text: str, wanted: str) -> None:
    assert safe_markdown(text) == wanted


def test_a_viewer_sees_why_the_buttons_do_nothing(rights: Rights, opened: Opened) -> None:
    study = rights.study()
    draw = "study_actions.study_actions(study); trial.show(study); space.show(study)"
    page = opened(draw, study, who="vera", trial="0")
    acting = [b for b in page.button if b.key != "retry"]
    assert acting and all(b.disabled for b in acting)
    assert all("only editors" in str(b.help) for b in acting)
    acting = [b for b in opened(draw, study, trial="0").button if not b.disabled]
    assert {"study pause", "widen", "retry trial", "enqueue neighbour"} <= {b.key for b in acting}


def test_a_viewer_who_sends_a_change_all_the_same_is_refused(
    rights: Rights, opened: Opened
) -> None:
    study = rights.study()
    dialogs: list[tuple[str, str, Any]] = [
        ("study_actions._pause(place, study.record)", "study state send", None),
        ("study_actions._archive(place, study.record)", "study archive send", None),
        ("trial_actions._stop(place, 1)", "stop send", None),
        ("enqueue._dialog(place, {'model': 'linear'}, {}, None)", "enqueue send", None),
    ]
    before = rights.storage.record(study)
    for draw, key, _ in dialogs:
        page = _press(opened(draw, study, who="vera"), key)
        assert page.error and "role" in page.error[0].value
    assert rights.storage.record(study).seq == before.seq
