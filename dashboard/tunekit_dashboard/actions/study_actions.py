"""What a page can do with a whole study: pause, resume, stop, rename, tag, archive, note."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from tunekit.records import StudyRecord, StudyState
from tunekit.storages.http.messages import StudyName, StudyPatch, Tags
from tunekit_dashboard.actions.permission import action_button, attempt
from tunekit_dashboard.client import page_reader
from tunekit_dashboard.frame import StudyFrame
from tunekit_dashboard.live import hold_live
from tunekit_dashboard.places import StudyPlace
from tunekit_dashboard.theme import main_kind

MAX_TAGS = 20

Dialog = Callable[[StudyPlace, StudyRecord], None]


def study_actions(study: StudyFrame) -> None:
    """Draw the menu of what can be done with a study; nothing for a share link."""
    if study.place.is_shared:
        return
    record = study.record
    is_archived = record.spec.attrs.get("archived") is True
    with st.popover("Actions", icon=":material/more_horiz:"):
        if is_archived:
            _item(study, "Restore", ":material/unarchive:", _restore)
            return
        if record.state is StudyState.ACTIVE:
            _item(study, "Pause", ":material/pause:", _pause)
        else:
            _item(study, "Resume", ":material/play_arrow:", _resume)
        if record.state in (StudyState.ACTIVE, StudyState.PAUSED):
            _item(study, "Stop", ":material/stop:", _stop)
        _item(study, "Rename", ":material/edit:", _rename)
        _item(study, "Tags", ":material/sell:", _tags)
        _item(study, "Archive", ":material/archive:", _archive)


def _item(study: StudyFrame, label: str, icon: str, dialog: Dialog) -> None:
    key = f"study {label.lower()}"
    if action_button(study, label, key=key, icon=icon, kind="tertiary"):
        hold_live()
        dialog(study.place, study.record)


@st.dialog("Pause this study?", on_dismiss="rerun")
def _pause(place: StudyPlace, record: StudyRecord) -> None:
    st.markdown("Running trials go on to their end; no new one starts until it is resumed.")
    _state_button(place, "Pause", StudyState.PAUSED, "The study is paused.")


@st.dialog("Resume this study?", on_dismiss="rerun")
def _resume(place: StudyPlace, record: StudyRecord) -> None:
    st.markdown("Workers that wait for it start new trials; others have to be started again.")
    _state_button(place, "Resume", StudyState.ACTIVE, "The study goes on.")


@st.dialog("Stop this study?", on_dismiss="rerun")
def _stop(place: StudyPlace, record: StudyRecord) -> None:
    st.markdown("No new trial starts, and its workers leave. It can be resumed later.")
    now = st.toggle("End the running trials at once as well", key="study stop now")
    state = StudyState.CANCELLED if now else StudyState.STOPPED
    if now:
        st.warning("What they have computed since their last checkpoint is lost.")
    _state_button(place, "Stop study", state, f"The study is {state}.")


@st.dialog("Rename this study", on_dismiss="rerun")
def _rename(place: StudyPlace, record: StudyRecord) -> None:
    st.caption("Programs that open it by its old name no longer find it; addresses stay.")
    name = st.text_input("Name", value=record.spec.name, key="study name", max_chars=200)
    is_new = bool(name.strip()) and name != record.spec.name
    if st.button("Rename", type=main_kind(), key="study name send", disabled=not is_new):
        reader = page_reader(place)
        attempt(
            lambda: reader.change("PUT", f"{place.path}/name", StudyName(name)),
            "The study is renamed.",
        )


@st.dialog("Tags of this study", on_dismiss="rerun")
def _tags(place: StudyPlace, record: StudyRecord) -> None:
    found = record.spec.attrs.get("tags")
    known = [t for t in found if isinstance(t, str)] if isinstance(found, list) else []
    tags = st.multiselect(
        "Tags", known, default=known, accept_new_options=True, max_selections=MAX_TAGS,
        key="study tags",
    )  # fmt: skip
    if st.button("Save", type=main_kind(), key="study tags send"):
        reader = page_reader(place)
        attempt(
            lambda: reader.change("PUT", f"{place.path}/tags", Tags(tuple(tags))),
            "The tags are saved.",
        )


@st.dialog("Archive this study?", on_dismiss="rerun")
def _archive(place: StudyPlace, record: StudyRecord) -> None:
    st.markdown("It stops, and lists leave it out. Nothing is deleted; it can be restored.")
    if st.button("Archive", type=main_kind(), key="study archive send"):
        reader = page_reader(place)
        attempt(lambda: reader.change("POST", f"{place.path}:archive"), "The study is archived.")


@st.dialog("Restore this study?", on_dismiss="rerun")
def _restore(place: StudyPlace, record: StudyRecord) -> None:
    st.markdown("Lists show it again; it stays stopped until it is resumed.")
    if st.button("Restore", type=main_kind(), key="study restore send"):
        reader = page_reader(place)
        attempt(lambda: reader.change("POST", f"{place.path}:restore"), "The study is restored.")


def _state_button(place: StudyPlace, label: str, state: StudyState, told: str) -> None:
    if st.button(label, type=main_kind(), key="study state send"):
        reader = page_reader(place)
        attempt(lambda: reader.change("PATCH", place.path, StudyPatch(state=state)), told)
