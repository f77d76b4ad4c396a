"""The page for people, tokens, quotas and the audit log."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import streamlit as st

from tunekit_dashboard.actions.permission import attempt
from tunekit_dashboard.admin.audit import show_audit
from tunekit_dashboard.admin.people import show_members, show_users
from tunekit_dashboard.admin.quotas import show_quotas
from tunekit_dashboard.admin.tokens import show_machine_tokens, show_own_tokens
from tunekit_dashboard.cards import guarded
from tunekit_dashboard.client import Reader
from tunekit_dashboard.navigation import GeneralPage
from tunekit_dashboard.places import PROJECT
from tunekit_dashboard.texts import cut, plain

Part = Callable[[Reader, str], None]


def show(reader: Reader) -> None:
    """Draw what the caller may see and change; the service decides again at each change."""
    st.header("Admin", anchor=False)
    caller = reader.caller
    who = f"You are **{plain(caller.user, 60)}**" if caller.user else "There are no accounts here"
    st.markdown(f"{who}. The service is version {plain(caller.version)}.")
    if caller.user and st.button("Log out", key="log out", icon=":material/logout:"):
        attempt(partial(reader.change, "POST", "/logout"), "You are logged out.")
    projects = [p.name for p in reader.projects]
    project = projects[0] if projects else ""
    if len(projects) > 1:
        project = st.selectbox(
            "Project", projects, key=PROJECT, bind="query-params", format_func=cut
        )
    parts = _parts(reader, project)
    for tab, draw in zip(st.tabs([name for name, _ in parts]), parts, strict=True):
        with tab:
            guarded(partial(draw[1], reader, project))


def _parts(reader: Reader, project: str) -> list[tuple[str, Part]]:
    """Return the tabs for the caller's rights."""
    has_accounts = bool(reader.caller.user)
    is_operator = reader.caller.is_operator
    is_admin = bool(project) and reader.role_in(project) in ("admin", "operator")
    parts: list[tuple[str, Part]] = []
    if has_accounts:
        parts.append(("My tokens", show_own_tokens))
        if project:
            parts.append(("People of the project", show_members))
        if is_admin:
            parts.append(("Tokens of machines", show_machine_tokens))
        if is_operator:
            parts.append(("Users", show_users))
    if project:
        parts.append(("Quotas", show_quotas))
    if is_admin or is_operator:
        parts.append(("Audit log", show_audit))
    return parts


VIEW = GeneralPage("admin", "Admin", ":material/admin_panel_settings:", show)
