"""Draws the frame of all pages of a study: header, filters and links; and what the pages share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import streamlit as st

from tunekit.analysis.charts.records import TreeChart, TreeNode
from tunekit.records import StudyRecord, StudyState
from tunekit_dashboard.client import Reader
from tunekit_dashboard.filters import Filters, filter_controls, filters_in
from tunekit_dashboard.live import watch
from tunekit_dashboard.navigation import go, link
from tunekit_dashboard.places import TRIAL, StudyPlace
from tunekit_dashboard.texts import number, plain

R = TypeVar("R")

PILLS = {
    StudyState.ACTIVE: ("active", "green", ":material/play_circle:"),
    StudyState.PAUSED: ("paused", "orange", ":material/pause_circle:"),
    StudyState.STOPPED: ("stopped", "gray", ":material/stop_circle:"),
    StudyState.CANCELLED: ("cancelled", "red", ":material/cancel:"),
}
"""Text, colour and icon of each state of a study."""


@dataclass(frozen=True)
class StudyFrame:
    """What a page of a study draws with.

    Attributes:
        reader: of this run of the page; a fragment makes its own with `page_reader(place)`.
        place: the study in the address.
        record: the study at the beginning of this run; its `seq` is the cursor.
        filters: which trials and which metric to show.
    """

    reader: Reader
    place: StudyPlace
    record: StudyRecord
    filters: Filters

    @property
    def metric(self) -> str:
        """Return the name of the metric to show."""
        return self.filters.metric or self.record.spec.objectives[0].metric

    @property
    def lower_is_better(self) -> bool:
        """Return whether smaller values of that metric are better."""
        found = [o for o in self.record.spec.objectives if o.metric == self.metric]
        return not found or found[0].direction == "minimize"

    @cached_property
    def may_edit(self) -> bool:
        """Whether the caller may change the study; the service decides again at each change."""
        if self.place.is_shared:
            return False
        return self.reader.role_in(self.place.project) in ("editor", "admin", "operator")

    def chart(self, name: str, cls: Callable[..., R], **query: object) -> R:
        """Return the data of a chart under the filters of the page.

        Args:
            name: of the route below `/charts`.
            cls: record of its answer.
            query: further values of its query.
        """
        given = {**self.filters.query, **query}
        return self.reader.of_study(self.place, f"/charts/{name}", cls, **given)

    def read(self, path: str, cls: Callable[..., R], **query: object) -> R:
        """Return what another route below the study answers, such as `/events`."""
        return self.reader.of_study(self.place, path, cls, **query)

    def link(self, url: str, label: str, *, icon: str | None = None, **query: str) -> None:
        """Draw a link to another page of this study; the filters stay."""
        link(url, label, icon=icon, **{**self.place.query, **self.filters.address, **query})

    def go(self, url: str, **query: str) -> None:
        """Leave for another page of this study; the filters stay."""
        go(url, **{**self.place.query, **self.filters.address, **query})

    def open_trial(self, trial: int) -> None:
        """Leave for the page of a trial."""
        self.go("trial", **{TRIAL: str(trial)})


def study_frame(reader: Reader, place: StudyPlace) -> StudyFrame:
    """Return the frame of the study in the address.

    Raises:
        UnknownStudy: there is none, or the caller may not see it.
    """
    record = reader.study(place)
    return StudyFrame(reader, place, record, filters_in(st.query_params.to_dict(), record))


def draw_header(study: StudyFrame) -> None:
    """Draw name and state of a study at once, before anything is computed."""
    record = study.record
    text, color, icon = PILLS[record.state]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.header(plain(record.spec.name, 80), width="content", anchor=False)
        st.badge(text, icon=icon, color=color)  # type: ignore[arg-type]


def draw_facts(study: StudyFrame) -> None:
    """Draw the best result of a study, its counts and its last event."""
    record = study.record
    root = study.reader.of_study(study.place, "/charts/tree", TreeChart, nodes=1).nodes[0]
    st.markdown(" · ".join(_facts(record, root)))
    watch(study.place, record)


def draw_filters(study: StudyFrame) -> None:
    """Draw the filters of a study."""
    tree = study.reader.of_study(study.place, "/charts/tree", TreeChart, nodes=60)
    branches = [f"{n.path}={n.value}" for n in tree.nodes if n.path]
    filter_controls(study.record, study.filters, branches)


def _facts(record: StudyRecord, root: TreeNode) -> list[str]:
    metric = plain(record.spec.objectives[0].metric, 60)
    facts = [f"best {metric} **{number(root.best)}**"] if root.best is not None else []
    counts: list[tuple[Any, str]] = [
        (root.n_complete, "complete"),
        (root.n_stopped, "stopped early"),
        (root.n_failed, "failed"),
        (record.n_trials - root.n_complete - root.n_stopped - root.n_failed, "open"),
    ]
    facts += [f"{n:,} {word}" for n, word in counts if n]
    return facts or ["no trials yet"]
