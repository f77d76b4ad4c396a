"""Draws the state of a study as a pill: text, colour and icon, so that no colour stands alone."""

from __future__ import annotations

from typing import Literal, TypeAlias

import streamlit as st

from tunekit.records import StudyState

Color: TypeAlias = Literal["green", "orange", "gray", "red"]

PILLS: dict[StudyState, tuple[str, Color, str]] = {
    StudyState.ACTIVE: ("active", "green", ":material/play_circle:"),
    StudyState.PAUSED: ("paused", "orange", ":material/pause_circle:"),
    StudyState.STOPPED: ("stopped", "gray", ":material/stop_circle:"),
    StudyState.CANCELLED: ("cancelled", "red", ":material/cancel:"),
}
"""Text, colour and icon of each state."""


def state_pill(state: StudyState) -> None:
    """Draw the state that the workers of a study are asked to take."""
    text, color, icon = PILLS[state]
    st.badge(text, icon=icon, color=color)
