"""Draws buttons that change something: disabled with the reason for those who may not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import streamlit as st

from tunekit.errors import TunekitError
from tunekit_dashboard.frame import StudyFrame
from tunekit_dashboard.texts import plain

REASON = "You may read this study; only editors of its project may change it."


def action_button(
    study: StudyFrame,
    label: str,
    *,
    key: str,
    icon: str,
    why_not: str = "",
    kind: Literal["primary", "secondary", "tertiary"] = "secondary",
) -> bool:
    """Draw a button that changes something; return whether it was pressed.

    Nothing is drawn for a share link, which shows and never changes.

    Args:
        study: the study.
        label: of the button.
        key: unique on the page.
        icon: a Material symbol.
        why_not: why nobody can do it now; empty if it can be done.
        kind: of the button.
    """
    if study.place.is_shared:
        return False
    reason = why_not if study.may_edit else REASON
    return st.button(
        label, key=key, icon=icon, disabled=bool(reason), help=reason or None, type=kind
    )


def attempt(change: Callable[[], object], told: str) -> None:
    """Make a change, confirm it and redraw the page; show a refusal next to the control.

    Args:
        change: sends it.
        told: what has happened, in a sentence.
    """
    try:
        change()
    except TunekitError as error:
        st.error(plain(str(error), 1000), icon=":material/error:")
        return
    st.toast(plain(told, 300), icon=":material/check:")
    st.rerun()
