"""Draws the frame of all pages of a study: header, filters and links; and what the pages share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import streamlit as st

from tunekit.analysis.charts.records import TreeChart
from tunekit.analysis.charts.study_records import StudySummary
from tunekit.records import StudyRecord
from tunekit_dashboard.client import Reader
from tunekit_dashboard.filters import Filters, filter_controls, filters_in
from tunekit_dashboard.live import watch
from tunekit_dashboard.navigation import go, link
from tunekit_dashboard.pills import state_pill
from tunekit_dashboard.places import TRIAL, StudyPlace
from tunekit_dashboard.sentences import event_sentence
from tunekit_dashboard.texts import number, numbers, plain
from tunekit_dashboard.times import shown_time

R = TypeVar("R")


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

    def chart(self, name: str, cls: Callable[..., R], /, **query: object) -> R:
        """Return the data of a chart under the filters of the page.

        Args:
            name: of the route below `/charts`.
            cls: record of its answer.
            query: further values of its query.
        """
        given = {**self.filters.query, **query}
        return self.reader.of_study(self.place, f"/charts/{name}", cls, **given)

    def live_chart(self, name: str, cls: Callable[..., R], /, **query: object) -> R:
        """Return the data of a chart of reports, which arrive without an event of the study."""
        given = {**self.filters.query, **query}
        return self.reader.get(f"{self.place.path}/charts/{name}", cls, cursor=None, **given)

    def read(self, path: str, cls: Callable[..., R], /, **query: object) -> R:
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


def draw_header(study: StudyFrame, actions: Callable[[StudyFrame], None]) -> None:
    """Draw name and state of a study at once, before anything is computed.

    Args:
        study: the study.
        actions: draws what can be done with it.
    """
    record = study.record
    with st.container(horizontal=True, vertical_alignment="center"):
        st.header(plain(record.spec.name, 80), width="content", anchor=False)
        state_pill(record.state)
        st.space("stretch")
        actions(study)


def draw_facts(study: StudyFrame) -> None:
    """Draw the best result of a study with its noise, its counts, and the last event."""
    summary = study.read("/charts/summary", StudySummary)
    st.markdown(" · ".join(_facts(summary)))
    watch(study.place, study.record)


def draw_filters(study: StudyFrame) -> None:
    """Draw the filters of a study."""
    tree = study.read("/charts/tree", TreeChart, nodes=60)
    branches = [f"{n.path}={n.value}" for n in tree.nodes if n.path]
    filter_controls(study.record, study.filters, branches)


def _facts(summary: StudySummary) -> list[str]:
    """Return what the header says, with users' texts made safe."""
    facts = []
    if summary.best is not None:
        noise = f" ± {number(summary.noise, 2)}" if summary.noise is not None else ""
        of = f" of trial {summary.best_number}" if summary.best_number is not None else ""
        facts.append(f"best {plain(summary.metric, 60)} **{number(summary.best)}**{noise}{of}")
    if summary.n_front:
        facts.append(f"{numbers(summary.n_front, 'trial')} on the front")
    goal = f" of {summary.max_trials:,}" if summary.max_trials else ""
    facts.append(f"{numbers(summary.total, 'trial')}{goal}")
    facts += [f"{n:,} {word}" for word, n in summary.counts.items() if n and word != "complete"]
    if summary.last_event is not None:
        event = summary.last_event
        facts.append(f"{shown_time(event.at)}: {plain(event_sentence(event), 120)}")
    return facts
