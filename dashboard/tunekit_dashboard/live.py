"""Runs a page again when its study has moved, and costs next to nothing while it has not.

A fragment asks for the events after the cursor that the page has drawn. Without one it sends the
browser a message of a few hundred bytes; with one the page runs again, and what did not change
comes from the cache. No loop runs on the server: the browser asks for each tick.
"""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from tunekit.errors import TunekitError
from tunekit.records import StudyRecord, StudyState
from tunekit_dashboard.client import Reader, page_reader
from tunekit_dashboard.places import StudyPlace

LIVE_S = 3.0
"""Seconds from tick to tick while the study runs."""

RESTING_S = 30.0
"""The same where nobody is expected to work on it."""

_HELD = "tunekit live held"


def hold_live() -> None:
    """Keep new events from running the page again until it runs for another reason.

    A dialog calls this, since a run of the page would close it; give it `on_dismiss="rerun"`.
    """
    st.session_state[_HELD] = True


def watch(place: StudyPlace, record: StudyRecord) -> None:
    """Run the page again when the study has later events than those of the record."""
    st.session_state.pop(_HELD, None)
    period = LIVE_S if record.state is StudyState.ACTIVE else RESTING_S
    st.fragment(_tick, run_every=period, key="live")(place, record.seq)


def watch_answers(read: Callable[[Reader], object], drawn: object, *, period_s: float) -> None:
    """Run the page again when what it reads has changed.

    Args:
        read: reads it again; an answer with an ETag costs little.
        drawn: what the page shows.
        period_s: seconds from tick to tick.
    """
    st.session_state.pop(_HELD, None)

    def tick() -> None:
        try:
            has_changed = read(page_reader()) != drawn
        except TunekitError:
            st.caption("The service does not answer; the page shows what it knew.")
            return
        if has_changed and not st.session_state.get(_HELD):
            st.rerun()

    st.fragment(tick, run_every=period_s, key="live answers")()


def _tick(place: StudyPlace, drawn: int) -> None:
    try:
        moved = bool(page_reader(place).events(place, drawn).events)
    except TunekitError:
        st.caption("The service does not answer; the page shows what it knew.")
        return
    if not moved:
        return
    if st.session_state.get(_HELD):
        st.caption("There are new results.")
        return
    st.rerun()
