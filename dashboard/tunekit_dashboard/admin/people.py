"""Users of the service, and the roles of a project's members."""

from __future__ import annotations

from functools import partial
from typing import get_args

import streamlit as st

from tunekit.storages.codec import from_dict
from tunekit.storages.http import account_messages as m
from tunekit.storages.http.connection import quoted
from tunekit_dashboard.actions.permission import attempt
from tunekit_dashboard.cards import service_root
from tunekit_dashboard.client import Reader
from tunekit_dashboard.texts import plain
from tunekit_dashboard.theme import main_kind
from tunekit_dashboard.times import shown_time

ROLES = get_args(m.RoleName)


def show_members(reader: Reader, project: str) -> None:
    """Draw the members of a project; admins change their roles."""
    path = f"/projects/{quoted(project)}/members"
    members = from_dict(m.MemberPage, reader.read_now(path)).members
    may_change = reader.role_in(project) in ("admin", "operator")
    for member in members:
        name, role, remove = st.columns([3, 2, 1], vertical_alignment="center")
        name.markdown(plain(member.user, 60))
        if not may_change:
            role.markdown(member.role)
            continue
        place = f"{path}/{quoted(member.user)}"
        chosen = role.selectbox(
            f"Role of {plain(member.user, 60)}", ROLES, index=ROLES.index(member.role),
            # A widget keeps its value as long as its key stays.
            key=f"role {project} {member.user} {member.role}", label_visibility="collapsed",
        )  # fmt: skip
        if chosen != member.role:
            attempt(
                partial(reader.change, "PUT", place, m.MemberRole(chosen)),
                f"{member.user} is now {chosen}.",
            )
        with remove.popover("Remove"):
            st.markdown("Their tokens for this project end at once.")
            key = f"remove {project} {member.user}"
            if st.button("Remove from the project", key=key, type=main_kind()):
                attempt(
                    partial(reader.change, "DELETE", place),
                    f"{member.user} has no role here any more.",
                )
    if not members:
        st.caption("The project has no members.")
    if may_change:
        _add_member(reader, path)


def _add_member(reader: Reader, path: str) -> None:
    with st.form("add member", clear_on_submit=True):
        user = st.text_input("User name", max_chars=64)
        role = st.selectbox("Role", ROLES)
        is_sent = st.form_submit_button("Add to the project")
    if is_sent and user:
        place = f"{path}/{quoted(user)}"
        attempt(
            partial(reader.change, "PUT", place, m.MemberRole(role)), f"{user} is {role} here now."
        )


def show_users(reader: Reader, project: str) -> None:
    """Draw all users; operators create, invite and disable them."""
    page = from_dict(m.UserPage, reader.read_now("/users", limit=200))
    for user in page.users:
        name, rights, invite, disable = st.columns([3, 2, 1.4, 1.4], vertical_alignment="center")
        name.markdown(f"{plain(user.name, 60)}, since {shown_time(user.created)}")
        words = [w for w, has in (
            ("operator", user.is_operator), ("may create projects", user.may_create),
            ("disabled", not user.is_active),
        ) if has]  # fmt: skip
        rights.markdown(", ".join(words) or "-")
        path = f"/users/{quoted(user.name)}"
        if invite.button("New link", key=f"invite {user.name}", help="To set a new password"):
            _invite(reader, f"{path}:invite")
        verb = "Disable" if user.is_active else "Enable"
        if user.name != reader.caller.user and disable.button(verb, key=f"disable {user.name}"):
            change = m.UserChange(is_active=not user.is_active)
            attempt(
                partial(reader.change, "PATCH", path, change),
                f"{user.name} is {'disabled' if user.is_active else 'enabled'}.",
            )
    if page.after is not None:
        st.caption("There are more users; `tunekit users ls` lists all.")
    with st.form("new user", clear_on_submit=True):
        new = st.text_input("User name", max_chars=64)
        may_create = st.checkbox("May create projects")
        is_sent = st.form_submit_button("Create a user")
    if is_sent and new:
        _invite(reader, "/users", m.UserNew(new, may_create=may_create))


def _invite(reader: Reader, path: str, body: m.UserNew | None = None) -> None:
    """Send a request that answers with a link, and draw the link this once."""
    from tunekit.errors import TunekitError

    try:
        made = from_dict(m.Invitation, reader.change("POST", path, body))
    except TunekitError as error:
        st.error(plain(str(error), 600), icon=":material/error:")
        return
    st.success(
        f"Send this link to {plain(made.user, 60)}; it works once, until "
        f"{shown_time(made.expires)}.",
        icon=":material/key:",
    )
    st.code(f"{service_root()}{made.path}", language=None)
