"""The page that says how a study is doing and what to do next."""

from __future__ import annotations

import streamlit as st

from tunekit.storages.http.messages import EventPage
from tunekit_dashboard.frame import StudyFrame
from tunekit_dashboard.navigation import StudyView
from tunekit_dashboard.times import shown_time


def show(study: StudyFrame) -> None:
    """Draw the last events of the study."""
    st.subheader("Last events", anchor=False)
    page = study.read("/events", EventPage, after=max(study.record.seq - 10, 0))
    for event in reversed(page.events):
        about = f"trial {event.number} " if event.number is not None else ""
        st.markdown(f"{shown_time(event.at)}: {about}{event.kind}")


VIEW = StudyView("overview", "Overview", ":material/dashboard:", show)
