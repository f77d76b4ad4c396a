"""The page with the table of trials, which the service sorts, filters and cuts into pages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import streamlit as st

from tunekit.analysis.charts.records import TrialRow, TrialsChart
from tunekit_dashboard.frame import StudyFrame
from tunekit_dashboard.navigation import StudyPage
from tunekit_dashboard.texts import cut, numbers
from tunekit_dashboard.times import shown_span, shown_time

PAGE = 100
"""Rows of one page."""
SORTS = {
    "number": "Number",
    "value": "Value",
    "duration": "Duration",
    "state": "State",
    "worker": "Worker",
}


def show(study: StudyFrame) -> None:
    """Draw one page of the table; a click on a row opens the trial."""
    sort, descending = _controls(study)
    page = _page_asked()
    chart = _read(study, sort, page, descending=descending)
    n_pages = max(1, math.ceil(chart.total / PAGE))
    if page >= n_pages:  # a link from when there were more
        page = n_pages - 1
        chart = _read(study, sort, page, descending=descending)
    if not chart.rows:
        st.info(_empty(study), icon=":material/hourglass_empty:")
        return
    _rows(study, chart)
    with st.container(horizontal=True, vertical_alignment="center"):
        last = chart.offset + chart.shown
        st.caption(f"{chart.offset + 1:,} to {last:,} of {numbers(chart.total, 'trial')}")
        if n_pages > 1:
            st.pagination(n_pages, key="page", bind="query-params")
    if chart.n_paths > len(chart.paths):
        st.caption(
            f"{len(chart.paths):,} of {numbers(chart.n_paths, 'parameter')}, those that vary; "
            "the page of a trial has all."
        )


def _controls(study: StudyFrame) -> tuple[str, bool]:
    left, middle, right = st.columns([2, 2, 2], vertical_alignment="bottom")
    sort = left.selectbox(
        "Sort by", list(SORTS), format_func=SORTS.__getitem__, key="sort", bind="query-params"
    )
    order = middle.segmented_control(
        "Order", ["descending", "ascending"], default="descending", required=True, key="order",
        bind="query-params", format_func=str.capitalize,
    )  # fmt: skip
    asked = right.number_input(
        "Go to trial", min_value=0, max_value=2**53 - 1, value=None, step=1, key="go to trial",
        placeholder="number, then Enter",
    )  # fmt: skip
    if asked is not None:
        study.open_trial(int(asked))
    return sort, order == "descending"


def _page_asked() -> int:
    """Return the page number in the address, from 0; an invalid one counts as the first page."""
    text = st.query_params.get("page", "1")
    is_number = text.isascii() and text.isdigit() and 0 < len(text) <= 9
    return max(int(text) - 1, 0) if is_number else 0


def _read(study: StudyFrame, sort: str, page: int, *, descending: bool) -> TrialsChart:
    return study.chart(
        "trials", TrialsChart, sort=sort, descending=str(descending).lower(), offset=page * PAGE,
        rows=PAGE,
    )  # fmt: skip


def _rows(study: StudyFrame, chart: TrialsChart) -> None:
    columns: dict[str, Sequence[Any]] = {
        "trial": [row.number for row in chart.rows],
        "state": [row.state for row in chart.rows],
        _unused(chart.metric, "trial", "state"): [row.value for row in chart.rows],
    }
    for path in chart.paths:
        name = _unused(path, *columns, "duration", "started", "sampler", "worker", "end")
        columns[name] = [_value(row, path) for row in chart.rows]
    columns |= {
        "duration": [shown_span(row.duration_s) for row in chart.rows],
        "started": [shown_time(row.started) for row in chart.rows],
        "sampler": [row.sampler for row in chart.rows],
        "worker": [row.worker for row in chart.rows],
        "end": [row.reason for row in chart.rows],
    }
    state = st.dataframe(
        columns, hide_index=True, on_select="rerun", selection_mode="single-row",
        key=f"trials {chart.seq} {chart.offset}", height=min(35 * (len(chart.rows) + 1) + 3, 640),
        column_config={"trial": st.column_config.NumberColumn(format="%d", pinned=True)},
        alt=f"Trials {chart.offset + 1} to {chart.offset + chart.shown} of {chart.total}.",
    )  # fmt: skip
    picked = [i for i in state.selection.rows if 0 <= i < len(chart.rows)]
    if picked:
        study.open_trial(chart.rows[picked[0]].number)


def _value(row: TrialRow, path: str) -> str:
    if path not in row.params:
        return "not active"
    value = row.params[path]
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _unused(name: str, *taken: str) -> str:
    """Return a name of a column that no other column has."""
    text = cut(name, 60) or "value"
    while text in taken:
        text += "'"
    return text


def _empty(study: StudyFrame) -> str:
    if study.record.n_trials == 0:
        return "The study has no trials yet; they appear here as soon as a worker starts."
    return "No trial is within the filters; “Show all” on the left removes them."


VIEW = StudyPage("trials", "Trials", ":material/table_rows:", show)
