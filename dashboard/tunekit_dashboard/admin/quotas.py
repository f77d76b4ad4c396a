"""What a project may use, and what it uses."""

from __future__ import annotations

from functools import partial

import streamlit as st

from tunekit.storages.codec import from_dict
from tunekit.storages.http.connection import quoted
from tunekit.storages.http.oversight_messages import Quotas, QuotaUse
from tunekit_dashboard.actions.permission import attempt
from tunekit_dashboard.client import Reader
from tunekit_dashboard.texts import number

GIB = 2**30


def show_quotas(reader: Reader, project: str) -> None:
    """Draw the quotas of a project beside its use; operators set them."""
    path = f"/projects/{quoted(project)}/quotas"
    use = from_dict(QuotaUse, reader.read_now(path))
    limits = use.quotas
    stored = None if limits.stored_bytes is None else limits.stored_bytes / GIB
    rows: tuple[tuple[str, float, float | None], ...] = (
        ("Running trials", use.running, limits.running),
        ("GPUs", use.gpus, limits.gpus),
        ("Stored GiB", use.stored_bytes / GIB, stored),
    )
    for column, (name, used, limit) in zip(st.columns(3), rows, strict=True):
        with column:
            of = "no limit" if limit is None else f"of {number(limit)}"
            st.metric(name, number(used, 3), of, delta_color="off", delta_arrow="off")
            if limit:
                st.progress(min(used / limit, 1.0))
    if not (reader.caller.is_operator and reader.caller.user):
        return
    with st.form("set quotas"):
        st.markdown("Set the limits; an empty field is none.")
        running = st.number_input("Running trials", value=limits.running, min_value=0)
        gpus = st.number_input("GPUs", value=limits.gpus, min_value=0.0)
        gib = st.number_input("Stored GiB", value=stored, min_value=0.0)
        is_sent = st.form_submit_button("Set")
    if is_sent:
        new = Quotas(
            None if running is None else int(running),
            gpus,
            None if gib is None else int(gib * GIB),
        )
        attempt(partial(reader.change, "PUT", path, new), "The quotas are set.")
