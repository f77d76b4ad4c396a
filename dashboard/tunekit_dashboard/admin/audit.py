"""The audit log: who changed what, and when."""

from __future__ import annotations

import json

import streamlit as st

from tunekit.storages.codec import from_dict
from tunekit.storages.http.connection import quoted
from tunekit.storages.http.oversight_messages import AuditPage
from tunekit_dashboard.client import Reader
from tunekit_dashboard.texts import cut
from tunekit_dashboard.times import shown_time

PAGE = 100


def show_audit(reader: Reader, project: str) -> None:
    """Draw the audit log of a project, or of the whole service for operators."""
    is_all = reader.caller.is_operator and st.toggle(
        "All projects", key="all", bind="query-params"
    )
    path = "/audit" if is_all or not project else f"/projects/{quoted(project)}/audit"
    before = st.session_state.get("audit before")
    page = from_dict(AuditPage, reader.read_now(path, before=before, limit=PAGE))
    rows = {
        "Time": [shown_time(e.at) for e in page.entries],
        "Who": [cut(e.principal, 60) for e in page.entries],
        "Action": [e.action for e in page.entries],
        "Project": [cut(e.project, 60) for e in page.entries],
        "Study": [e.study_id for e in page.entries],
        "What": [cut(json.dumps(e.data), 200) for e in page.entries],
        "Address": [e.address for e in page.entries],
        "Request": [e.request_id for e in page.entries],
    }
    st.dataframe(rows, hide_index=True, height=420, alt="Entries of the audit log, newest first")
    with st.container(horizontal=True):
        if before is not None:
            st.button("Newest", key="audit newest", on_click=_turn, args=(None,))
        if page.before is not None:
            st.button("Older", key="audit older", on_click=_turn, args=(page.before,))


def _turn(before: int | None) -> None:
    st.session_state["audit before"] = before
