"""Says what a page looks like, light or dark, and what follows for its parts."""

from __future__ import annotations

from typing import Literal

import streamlit as st


def is_dark() -> bool:
    """Return whether the page is dark."""
    return st.context.theme.type == "dark"


def main_kind() -> Literal["primary", "secondary"]:
    """Return the kind of the button that does what a page or a dialog is about.

    On a dark page the colour of the theme has to be light, for the texts in it to be read; the
    white text of a button upon it would not be.
    """
    return "secondary" if is_dark() else "primary"
