"""The page that says how a study is doing and what to do next."""

from __future__ import annotations

from functools import partial

import streamlit as st

from tunekit.analysis.charts.records import HealthChart
from tunekit.analysis.charts.time_records import BudgetChart
from tunekit.analysis.health.findings import Finding
from tunekit.plots.budget import best_figure, budget_figure
from tunekit.records import StudyState
from tunekit.storages.events import Event
from tunekit.storages.http.messages import EventPage
from tunekit.storages.http.shared_messages import SharedEventPage
from tunekit_dashboard.actions.notes import notes_of
from tunekit_dashboard.actions.sharing import share_button
from tunekit_dashboard.cards import guarded
from tunekit_dashboard.figures import show_figure
from tunekit_dashboard.frame import StudyFrame
from tunekit_dashboard.navigation import StudyPage
from tunekit_dashboard.sentences import event_sentence
from tunekit_dashboard.texts import cut, number, numbers, plain
from tunekit_dashboard.times import shown_time

N_EVENTS = 10
LEAST = 20
"""Ended trials before there is advice to stop."""
QUIET = 0.5
"""Share of the ended trials without an improvement after which there is."""

_TITLES = {
    "boundary": "Edge of the space",
    "predictability": "Predictability",
    "noise": "Noise",
    "duplicates": "Repeated trials",
    "failures": "Failures",
    "baseline": "Baseline",
    "stopping": "Early stopping",
    "budget": "Budget",
}
_MARKS = {
    "sick": (":material/warning:", "orange", "look at this"),
    "healthy": (":material/check_circle:", "green", "fine"),
    "unknown": (":material/help:", "gray", "cannot tell yet"),
}


def show(study: StudyFrame) -> None:
    """Draw health, budget, the last events and the notes of a study."""
    share_button(study)
    if not study.record.n_trials:
        st.info(
            "This study has no trials yet. A worker takes the first one as soon as it starts.",
            icon=":material/hourglass_empty:",
        )
    elif not study.place.is_shared:
        guarded(partial(_health, study))
    if study.record.n_trials:
        guarded(partial(_budget, study))
    _events(study)
    guarded(partial(notes_of, study))


def _health(study: StudyFrame) -> None:
    chart = study.read("/charts/health", HealthChart)
    sick = [f for f in chart.findings if f.verdict == "sick"]
    rest = [f for f in chart.findings if f.verdict != "sick"]
    st.subheader("Health", anchor=False)
    if sick:
        n_columns = min(len(sick), 2)
        for first in range(0, len(sick), n_columns):
            row = sick[first : first + n_columns]
            for column, finding in zip(st.columns(n_columns), row, strict=False):
                with column:
                    _card(study, finding)
    else:
        st.success("No check has found anything to do.", icon=":material/check_circle:")
    with st.expander(f"{numbers(len(rest), 'check')} without a finding"):
        for finding in rest:
            icon, color, word = _MARKS[finding.verdict]
            with st.container(horizontal=True, vertical_alignment="center"):
                st.badge(word, icon=icon, color=color)  # type: ignore[arg-type]
                st.markdown(f"**{_TITLES[finding.check]}**: {plain(finding.text, 400)}")


def _card(study: StudyFrame, finding: Finding) -> None:
    """Draw one finding: verdict, number, one thing to do."""
    icon, color, word = _MARKS[finding.verdict]
    with st.container(border=True, height="stretch"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{_TITLES[finding.check]}**", width="content")
            st.badge(word, icon=icon, color=color)  # type: ignore[arg-type]
        if finding.number is not None:
            st.markdown(f"### {number(finding.number, 3)}")
            st.caption(plain(finding.unit))
        st.markdown(plain(finding.text, 600))
        if finding.advice:
            st.markdown(f":material/arrow_forward: {plain(finding.advice, 600)}")
        if finding.command:
            st.code(cut(finding.command, 600), language=None, wrap_lines=True)
        with st.container(horizontal=True):
            for trial in finding.trials[:3]:
                study.link(
                    "trial", f"Trial {trial}", icon=":material/open_in_new:", trial=str(trial)
                )


def _budget(study: StudyFrame) -> None:
    chart = study.read("/charts/budget", BudgetChart, metric=study.filters.metric or None)
    st.subheader("Budget", anchor=False)
    if advice := stop_advice(chart, study.record.state):
        st.warning(plain(advice, 400), icon=":material/front_hand:")
    left, right = st.columns(2)
    with left:
        show_figure(budget_figure(chart), key="budget")
    with right:
        show_figure(best_figure(chart), key="best")


def stop_advice(chart: BudgetChart, state: StudyState) -> str:
    """Return why to stop now, empty where nothing speaks for it.

    Args:
        chart: what has ended, and since when nothing got better.
        state: of the study; one that is not active needs no advice.
    """
    ended = chart.ended[-1] if chart.ended else 0
    if state is not StudyState.ACTIVE or ended < LEAST or chart.best_number is None:
        return ""
    if chart.since_best < QUIET * ended:
        return ""
    left = f" {chart.goal - ended:,} trials are left." if chart.goal and chart.goal > ended else ""
    return (
        f"Stop now: the last {chart.since_best:,} of {ended:,} trials brought nothing better than "
        f"trial {chart.best_number}.{left}"
    )


def _events(study: StudyFrame) -> None:
    st.subheader("Last events", anchor=False)
    events = _last_events(study)
    if not events:
        st.caption("Nothing has happened yet.")
        return
    lines = [f"- {shown_time(e.at)}: {plain(event_sentence(e), 300)}" for e in events]
    st.markdown("\n".join(lines))


def _last_events(study: StudyFrame) -> list[Event]:
    after = max(study.record.seq - N_EVENTS, 0)
    if study.place.is_shared:
        shared = study.read("/events", SharedEventPage, after=after).events
        return [Event(e.seq, e.kind, e.number, e.at) for e in reversed(shared)]
    return list(reversed(study.read("/events", EventPage, after=after).events))


VIEW = StudyPage("overview", "Overview", ":material/dashboard:", show)
