"""The notes on a study or a trial, in Markdown that can neither load nor run anything."""

from __future__ import annotations

import re
import uuid

import streamlit as st

from tunekit.storages.http.attachment_messages import Note, NotePage, NoteText
from tunekit_dashboard.actions.permission import action_button, attempt
from tunekit_dashboard.client import page_reader
from tunekit_dashboard.frame import StudyFrame
from tunekit_dashboard.live import hold_live
from tunekit_dashboard.places import StudyPlace
from tunekit_dashboard.texts import plain
from tunekit_dashboard.theme import main_kind
from tunekit_dashboard.times import shown_time

MAX_NOTES = 50
"""Notes on one page, the newest ones."""
MAX_BYTES = 10_000
"""Longest note, as the service takes it."""

_IMAGE = re.compile(r"!(?=\s*\[)")
_DIRECTIVE = re.compile(r":(?=[a-z][\w/-]*[:\[])")


def safe_markdown(text: str) -> str:
    """Return Markdown of a user without images, which would be fetched from elsewhere.

    Streamlit shows HTML as text and drops links that run scripts; its own directives for icons,
    colours and badges are shown as typed.
    """
    # A backslash in front would be undone by one that is typed before it.
    return _DIRECTIVE.sub("&#58;", _IMAGE.sub("&#33;", text))


def notes_of(study: StudyFrame, number: int | None = None) -> None:
    """Draw the notes on a trial, or on the study, and the button that adds one.

    Args:
        study: the study.
        number: of the trial; `None` for the study.
    """
    if study.place.is_shared:
        return
    path = _path(study.place, number)
    notes = study.reader.get(path, NotePage).notes
    if number is None:
        notes = tuple([n for n in notes if n.number is None])
    st.markdown(f"**Notes** ({len(notes):,})" if notes else "**Notes**")
    for note in notes[: -MAX_NOTES - 1 : -1]:
        _draw(study, note)
    if len(notes) > MAX_NOTES:
        st.caption(f"and {len(notes) - MAX_NOTES:,} older ones")
    if action_button(study, "Add a note", key=f"add note {number}", icon=":material/add_notes:"):
        hold_live()
        _dialog(study.place, number)


def _draw(study: StudyFrame, note: Note) -> None:
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            author = plain(note.author, 60) or "somebody"
            st.caption(f"{author}, {shown_time(note.created)}", width="stretch")
            if study.may_edit and action_button(
                study, "Delete", key=f"delete note {note.id}", icon=":material/delete:",
                kind="tertiary",
            ):  # fmt: skip
                hold_live()
                _confirm(study.place, note.id)
        st.markdown(safe_markdown(note.text))


@st.dialog("Add a note", width="medium", on_dismiss="rerun")
def _dialog(place: StudyPlace, number: int | None) -> None:
    text = st.text_area("Note, in Markdown", key="note text", height=200, max_chars=MAX_BYTES)
    if text.strip():
        with st.container(border=True):
            st.caption("Preview")
            st.markdown(safe_markdown(text))
    if st.button("Add", type=main_kind(), key="note send", disabled=not text.strip()):
        key = {"Idempotency-Key": f'"{uuid.uuid4()}"'}
        reader = page_reader(place)
        attempt(
            lambda: reader.change("POST", _path(place, number), NoteText(text), headers=key),
            "The note is added.",
        )


@st.dialog("Delete this note?", on_dismiss="rerun")
def _confirm(place: StudyPlace, note_id: int) -> None:
    st.markdown("It cannot be brought back; the audit log keeps that it was deleted.")
    if st.button("Delete", type=main_kind(), key="note delete", icon=":material/delete:"):
        reader = page_reader(place)
        attempt(
            lambda: reader.change("DELETE", f"{place.path}/notes/{note_id}"),
            "The note is deleted.",
        )


def _path(place: StudyPlace, number: int | None) -> str:
    return f"{place.path}/notes" if number is None else f"{place.path}/trials/{number}/notes"
