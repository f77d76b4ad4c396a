"""Makes, shows and revokes the share links of a study."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import streamlit as st

from tunekit.errors import TunekitError
from tunekit.storages.codec import from_dict
from tunekit.storages.http.oversight_messages import NewShareLink, ShareLinks, ShareSecret
from tunekit_dashboard.actions.permission import attempt
from tunekit_dashboard.cards import service_root
from tunekit_dashboard.client import page_reader
from tunekit_dashboard.frame import StudyFrame
from tunekit_dashboard.live import hold_live
from tunekit_dashboard.places import StudyPlace
from tunekit_dashboard.texts import plain
from tunekit_dashboard.theme import main_kind
from tunekit_dashboard.times import shown_time


def share_button(study: StudyFrame) -> None:
    """Draw the button for the share links of a study, for admins of a service with accounts."""
    if study.place.is_shared or not study.reader.caller.user:
        return
    is_admin = study.reader.role_in(study.place.project) in ("admin", "operator")
    if is_admin and st.button("Share", key="share study", icon=":material/share:"):
        hold_live()
        _share(study.place)


@st.dialog("Share this study", on_dismiss="rerun", width="medium")
def _share(place: StudyPlace) -> None:
    st.markdown(
        "Whoever has the link sees this study without a login: results and parameters, no "
        "names, hosts, paths or errors. It cannot be changed with it."
    )
    reader, path = page_reader(place), f"{place.path}/share-links"
    with st.form("new share link", border=False):
        label = st.text_input("What is it for?", max_chars=100)
        days = st.number_input("Days until it ends", 1, 90, 30)
        is_sent = st.form_submit_button("Make a link", type=main_kind())
    if is_sent:
        made = _made(lambda: reader.change("POST", path, NewShareLink(label, float(days))))
        if made is not None:
            st.success("Copy the link now; it is not shown again.", icon=":material/key:")
            st.code(f"{service_root()}/share#{made.secret}", language=None)
    for shared in from_dict(ShareLinks, reader.read_now(path)).links:
        if shared.revoked is not None:
            continue
        left, right = st.columns([4, 1], vertical_alignment="center")
        name = plain(shared.label, 60) or "without a label"
        left.markdown(f"{name}, by {plain(shared.author, 40)}, until {shown_time(shared.expires)}")
        if right.button("Revoke", key=f"revoke {shared.id}"):
            attempt(
                partial(reader.change, "DELETE", f"{path}/{shared.id}"), "The link is revoked."
            )


def _made(change: Callable[[], object]) -> ShareSecret | None:
    try:
        return from_dict(ShareSecret, change())
    except TunekitError as error:
        st.error(plain(str(error), 600))
        return None
