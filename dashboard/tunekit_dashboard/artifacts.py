"""The files of a trial: their list, a download, and the end of its log."""

from __future__ import annotations

from functools import partial

import streamlit as st

from tunekit.analysis.charts.records import TrialChart
from tunekit.storages.http.attachment_messages import Artifact, ArtifactPage
from tunekit.storages.http.connection import quoted
from tunekit_dashboard.frame import StudyFrame
from tunekit_dashboard.texts import cut, plain

MAX_FILES = 20
"""Files of one trial with a line."""
MAX_DOWNLOAD = 20 * 2**20
"""Bytes of a file that goes through the page; a larger one is fetched from the service."""
MAX_LOG = 2**20
"""Bytes of a log whose end is shown."""
TAIL = 40
"""Lines of a log."""

_LOGS = (".log", ".out", ".err", "log.txt", "stdout", "stderr")


def artifacts_of(study: StudyFrame, chart: TrialChart) -> None:
    """Draw the files of a trial."""
    if study.place.is_shared:
        return
    path = f"{study.place.path}/trials/{chart.number}/artifacts"
    files = study.reader.get(path, ArtifactPage, limit=MAX_FILES + 1).artifacts
    if not files:
        return
    with st.container(border=True):
        st.markdown("**Files**")
        for file in files[:MAX_FILES]:
            _line(study, path, file)
        if len(files) > MAX_FILES:
            st.caption("and further ones; `tunekit trials` lists them all")
        log = next((f for f in files if f.name.lower().endswith(_LOGS)), None)
        if log is not None and log.size <= MAX_LOG:
            _log_tail(study, path, log)


def _line(study: StudyFrame, path: str, file: Artifact) -> None:
    label = f"{plain(file.name, 60)} ({_size(file.size)})"
    if file.size > MAX_DOWNLOAD:
        st.caption(f"{label}: too large for the page; `GET {plain(path, 200)}` of the service")
        return
    name = cut(file.name, 120).replace("/", "_")
    # A browser saves it, whatever it is: the name and type come from whoever sent it.
    st.download_button(
        label, partial(_content, study, path, file), file_name=name,
        mime="application/octet-stream", key=f"file {file.name}", icon=":material/download:",
        type="tertiary", on_click="ignore",
    )  # fmt: skip


def _content(study: StudyFrame, path: str, file: Artifact) -> bytes:
    return study.reader.content(f"{path}/{quoted(file.name)}", most=MAX_DOWNLOAD)


def _log_tail(study: StudyFrame, path: str, log: Artifact) -> None:
    if st.toggle(f"End of {plain(log.name, 60)}", key=f"log {log.name}"):
        text = _content(study, path, log).decode("utf-8", "replace")
        st.code("\n".join(text.splitlines()[-TAIL:])[-20_000:], language=None, height=300)


def _size(n: int) -> str:
    for unit in ("B", "KiB", "MiB"):
        if n < 1024 or unit == "MiB":
            return f"{n:,.0f} {unit}" if unit == "B" else f"{n:,.1f} {unit}"
        n = n / 1024  # type: ignore[assignment]
    return f"{n} B"
