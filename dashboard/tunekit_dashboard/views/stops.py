"""The page of early stopping: what it saved, how often it was wrong, and each verdict."""

from __future__ import annotations

import streamlit as st

from tunekit.analysis.charts.records import StopsChart, StopVerdict
from tunekit.plots.stops import stops_figure
from tunekit_dashboard.figures import show_figure, trial_links
from tunekit_dashboard.frame import StudyFrame
from tunekit_dashboard.navigation import StudyPage
from tunekit_dashboard.texts import cut, number, numbers, plain
from tunekit_dashboard.times import shown_span

N_VERDICTS = 100
"""Verdicts with a sentence, the newest ones."""


def show(study: StudyFrame) -> None:
    """Draw the audit, then the verdicts."""
    chart = study.live_chart("stops", StopsChart)
    if not chart.total:
        who = study.record.spec.stopper
        st.info(
            f"The stopper {plain(who, 60)} has condemned no trial yet." if who
            else "The study has no stopper; `stopper=\"asha\"` ends hopeless trials early.",
            icon=":material/hourglass_empty:",
        )  # fmt: skip
        return
    _numbers(chart)
    picked = show_figure(stops_figure(chart), key="stops")
    trial_links(study, picked)
    _verdicts(study, chart)


def _numbers(chart: StopsChart) -> None:
    audit = chart.audit
    saved, wrong, checked = st.columns(3)
    with saved:
        share = f"{audit.saved:.0%} of all reports" if audit.saved is not None else "unknown"
        hours = _hours(chart.saved_s)
        st.metric("Saved", hours or share, border=True)
        st.caption(
            f"{share}: {numbers(audit.n_stopped, 'trial')} did not make "
            f"{audit.n_saved:,.0f} reports up to report {number(audit.horizon)}."
            if audit.saved is not None else "No complete trial has reported yet."
        )  # fmt: skip
    with wrong:
        rate = audit.false_stop_rate
        st.metric("Wrong verdicts", "unknown" if rate is None else f"{rate:.1%}", border=True)
        low, high = audit.interval
        st.caption(
            "No condemned trial has run to its end yet." if rate is None
            else f"95 % interval {low:.1%} to {high:.1%}, of {numbers(audit.n_audited, 'trial')} "
            "that ran on to check the stopper."
        )  # fmt: skip
    with checked:
        st.metric("Cost of the check", f"{audit.n_audit_reports:,} reports", border=True)
        n = len(audit.false_stops)
        st.caption(
            f"{numbers(n, 'audited trial')} turned out best." if n
            else "No audited trial turned out best."
        )  # fmt: skip


def _hours(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds / 3600:,.1f} worker hours" if seconds >= 360 else shown_span(seconds)


def _verdicts(study: StudyFrame, chart: StopsChart) -> None:
    st.markdown("**Verdicts**")
    shown = chart.verdicts[:N_VERDICTS]
    state = st.dataframe(
        {
            "trial": [v.number for v in shown],
            "verdict": [_sentence(v, chart) for v in shown],
        },
        hide_index=True, on_select="rerun", selection_mode="single-row",
        key=f"verdicts {chart.seq}", height=min(35 * (len(shown) + 1) + 3, 480),
        column_config={
            "trial": st.column_config.NumberColumn(format="%d", width="small"),
            "verdict": st.column_config.TextColumn(width="large"),
        },
        alt="The verdicts of the stopper, the newest first.",
    )  # fmt: skip
    picked = [i for i in state.selection.rows if 0 <= i < len(shown)]
    if picked:
        study.open_trial(shown[picked[0]].number)
    st.caption(f"{len(shown):,} of {numbers(chart.total, 'verdict')}, the newest first.")


def _sentence(v: StopVerdict, chart: StopsChart) -> str:
    metric = cut(chart.metric, 40)
    what = "Ran on to check the stopper" if v.is_audited else "Stopped"
    parts = [f"{what}: {v.reason.rstrip('.')}." if v.reason else f"{what}."]
    if v.predicted is not None:
        parts.append(f"Predicted final {metric}: {number(v.predicted)}.")
    if v.is_audited and v.value is not None:
        right = "it would have been among the best" if v.number in chart.audit.false_stops else (
            "the verdict was right"
        )  # fmt: skip
        parts.append(f"It reached {number(v.value)}: {right}.")
    return " ".join(parts)


VIEW = StudyPage("stops", "Stops", ":material/content_cut:", show)
