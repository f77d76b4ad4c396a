"""Tokens: of the caller, and of a project's machines."""

from __future__ import annotations

from functools import partial
from typing import get_args

import streamlit as st

from tunekit.errors import TunekitError
from tunekit.storages.codec import from_dict
from tunekit.storages.http import account_messages as m
from tunekit.storages.http.connection import quoted
from tunekit_dashboard.actions.permission import attempt
from tunekit_dashboard.client import Reader
from tunekit_dashboard.texts import plain
from tunekit_dashboard.theme import main_kind
from tunekit_dashboard.times import shown_time

DAYS = {"30 days": 30, "90 days": 90, "1 year": 365, "No end": None}


def show_own_tokens(reader: Reader, project: str) -> None:
    """Draw the caller's tokens, for scripts and terminals."""
    _list(reader, "/tokens", "mine")
    with st.form("new token", clear_on_submit=True):
        label = st.text_input("What is it for?", max_chars=100)
        role = st.selectbox("Most that it may do", get_args(m.RoleName), index=2)
        only = st.checkbox("Only in this project", value=True)
        days = st.selectbox("Ends after", list(DAYS), index=1)
        is_sent = st.form_submit_button("Create a token")
    if is_sent:
        new = m.TokenNew(label, role, project if only and project else None, DAYS[days])
        _issue(reader, "/tokens", new)


def show_machine_tokens(reader: Reader, project: str) -> None:
    """Draw the tokens of a project's machines, which outlive whoever creates them."""
    path = f"/projects/{quoted(project)}/tokens"
    _list(reader, path, "machine")
    with st.form("new machine token", clear_on_submit=True):
        label = st.text_input("Which machines?", max_chars=100)
        role = st.selectbox("What it may do", get_args(m.RoleName), index=1)
        days = st.selectbox("Ends after", list(DAYS), index=1)
        is_sent = st.form_submit_button("Create a token")
    if is_sent:
        _issue(reader, path, m.MachineTokenNew(label, role, DAYS[days]))


def _list(reader: Reader, path: str, kind: str) -> None:
    tokens = from_dict(m.TokenPage, reader.read_now(path)).tokens
    for token in tokens:
        name, scope, used, revoke = st.columns([3, 2, 3, 1], vertical_alignment="center")
        name.markdown(plain(token.label, 60) or "without a label")
        where = f" in {plain(token.project, 40)}" if token.project else ""
        scope.markdown(f"{token.role}{where}")
        end = "never ends" if token.expires is None else f"ends {shown_time(token.expires)}"
        last = "never used" if token.last_used is None else f"used {shown_time(token.last_used)}"
        used.caption(f"{end}, {last}")
        with revoke.popover("Revoke"):
            st.markdown("What uses it is refused from now on.")
            if st.button("Revoke the token", key=f"revoke {kind} {token.id}", type=main_kind()):
                place = f"{path}/{token.id}"
                attempt(
                    partial(reader.change, "DELETE", place),
                    "The token is revoked.",
                )
    if not tokens:
        st.caption("There are no tokens.")


def _issue(reader: Reader, path: str, new: m.TokenNew | m.MachineTokenNew) -> None:
    try:
        made = from_dict(m.IssuedToken, reader.change("POST", path, new))
    except TunekitError as error:
        st.error(plain(str(error), 600), icon=":material/error:")
        return
    st.success("Copy the token now; it is not shown again.", icon=":material/key:")
    st.code(made.secret, language=None)
