"""The page of one trial: what it is, why it was proposed, how it ran and how it ended."""

from __future__ import annotations

import streamlit as st

from tunekit.analysis.charts.records import TrialChart, TrialParam
from tunekit.errors import UnknownTrial
from tunekit.plots.palette import LOOKS
from tunekit.plots.roles import role_of
from tunekit.plots.trial import trial_figure
from tunekit.records import TrialState
from tunekit_dashboard.actions.notes import notes_of
from tunekit_dashboard.actions.trial_actions import trial_actions
from tunekit_dashboard.artifacts import artifacts_of
from tunekit_dashboard.figures import show_figure
from tunekit_dashboard.frame import StudyFrame
from tunekit_dashboard.navigation import StudyPage
from tunekit_dashboard.places import trial_in
from tunekit_dashboard.texts import cut, number, numbers, plain
from tunekit_dashboard.times import shown_span, shown_time

_BADGES = {
    "complete": "blue", "running": "orange", "queued": "gray", "stopped": "violet",
    "failed": "red", "diverged": "red",
}  # fmt: skip


def show(study: StudyFrame) -> None:
    """Draw the trial in the address."""
    asked = trial_in(st.query_params.to_dict())
    if asked is None:
        st.info("Choose a trial.", icon=":material/table_rows:")
        study.link("trials", "All trials", icon=":material/table_rows:")
        return
    try:
        chart = study.live_chart("trial", TrialChart, number=asked)
    except UnknownTrial:
        st.info(f"The study has no trial {asked}.", icon=":material/search_off:")
        study.link("trials", "All trials", icon=":material/table_rows:")
        return
    _heading(study, chart)
    trial_actions(study, chart)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        if chart.curves:
            metric = _curve_metric(chart)
            show_figure(trial_figure(chart, metric), key="trial curve")
        _params(chart)
    with right:
        _why(chart)
        _facts(study, chart)
        artifacts_of(study, chart)
    notes_of(study, chart.number)


def _heading(study: StudyFrame, chart: TrialChart) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(f"Trial {chart.number:,}", anchor=False, width="content")
        role = role_of(chart.state)
        st.badge(LOOKS[role].name if role != "other" else chart.state,
                 color=_BADGES.get(role, "gray"))  # type: ignore[arg-type] # fmt: skip
        value = chart.metrics.get(chart.metric)
        if value is not None:
            place = f" · place {chart.place:,} of {chart.n_placed:,}" if chart.place else ""
            st.markdown(
                f"{plain(chart.metric, 60)} **{number(value, 6)}**{place}", width="content"
            )
        st.space("stretch")
        if chart.number > 0:
            study.link("trial", "Previous", icon=":material/chevron_left:",
                       trial=str(chart.number - 1))  # fmt: skip
        if chart.number + 1 < study.record.n_trials:
            study.link("trial", "Next", icon=":material/chevron_right:",
                       trial=str(chart.number + 1))  # fmt: skip


def _curve_metric(chart: TrialChart) -> str:
    names = [curve.metric for curve in chart.curves]
    if len(names) == 1:
        return names[0]
    return st.selectbox(
        "Metric of the curve", names, key=f"curve metric {chart.number}",
        format_func=lambda m: cut(m, 80),
    )  # fmt: skip


def _why(chart: TrialChart) -> None:
    """Say who proposed the trial and why, and why it ended."""
    with st.container(border=True):
        st.markdown("**Why this trial**")
        who = "a person" if chart.sampler == "user" else f"the sampler {plain(chart.sampler, 60)}"
        st.markdown(f"Proposed by {who}." if chart.sampler else "It is not proposed yet.")
        if chart.reason:
            st.markdown(plain(chart.reason, 2000))
    if not (chart.end_reason or chart.error or chart.is_audited):
        return
    with st.container(border=True):
        is_open = not TrialState(chart.state).is_finished
        st.markdown("**Why it goes on**" if is_open else "**Why it ended**")
        if chart.end_reason:
            st.markdown(plain(chart.end_reason, 2000))
        if chart.is_audited:
            st.markdown("A stopper would have ended it; it ran on to check the stopper.")
        if chart.predicted is not None:
            st.markdown(f"Predicted final {plain(chart.metric, 60)}: {number(chart.predicted)}.")
        if chart.error:
            _error(chart)


def _error(chart: TrialChart) -> None:
    with st.expander("Traceback", icon=":material/bug_report:"):
        if chart.error_size > len(chart.error):
            st.caption(
                f"The last {len(chart.error):,} of {chart.error_size:,} characters; "
                f"`tunekit trials show` prints all."
            )
        st.code(chart.error, language=None, wrap_lines=True, height=360)


def _facts(study: StudyFrame, chart: TrialChart) -> None:
    with st.container(border=True):
        span = None
        if chart.started is not None and chart.finished is not None:
            span = chart.finished - chart.started
        facts = [
            ("Created", shown_time(chart.created)),
            ("Started", shown_time(chart.started)),
            ("Ended", shown_time(chart.finished)),
            ("Took", shown_span(span)),
            ("Worker", plain(chart.worker, 80) or "none"),
            ("Runs", f"{chart.epoch:,}"),
            ("Space", f"version {chart.space_version}"),
        ]
        if chart.violation:
            facts.append(("Constraints", f"violated by {number(chart.violation)}"))
        if chart.checkpoints:
            steps = ", ".join(f"{step:,}" for step in chart.checkpoints[-8:])
            facts.append(("Checkpoints", f"at step {steps}"))
        st.markdown("  \n".join(f"{name}: **{value}**" for name, value in facts))
        others = {m: v for m, v in chart.metrics.items() if m != chart.metric}
        if others:
            with st.expander(numbers(len(others), "other metric")):
                st.dataframe(
                    {"metric": list(others), "value": list(others.values())}, hide_index=True,
                    alt="The other metrics of the trial.",
                )  # fmt: skip
        if chart.attrs not in ("", "{}"):
            with st.expander("Attributes"):
                st.code(chart.attrs, language=None, wrap_lines=True)
        _lineage(study, chart)


def _lineage(study: StudyFrame, chart: TrialChart) -> None:
    """Draw the trials it was branched from, and those branched from it."""
    if not (chart.lineage or chart.children):
        return
    st.markdown("**Lineage of checkpoints**")
    for parent, step in chart.lineage[:10]:
        study.link("trial", f"Started from trial {parent} at step {step}",
                   icon=":material/north:", trial=str(parent))  # fmt: skip
    for child in chart.children[:10]:
        study.link("trial", f"Trial {child} started from it",
                   icon=":material/south:", trial=str(child))  # fmt: skip
    rest = len(chart.lineage[10:]) + len(chart.children[10:])
    if rest:
        st.caption(f"and {rest:,} more")


def _params(chart: TrialChart) -> None:
    """Draw the params, those first that differ from the default or from the best trial."""
    st.markdown("**Params**")
    if not chart.params:
        st.caption("It has no params yet.")
        return
    is_best = chart.best == chart.number
    shown = [p for p in chart.params if p.value is not None or p.best is not None]
    differing = [p for p in shown if _differs(p, chart)]
    if len(differing) < len(shown):
        label = f"Only the {len(differing):,} of {len(shown):,} that differ"
        if st.toggle(label, key="only differing", value=len(shown) > 12):
            shown = differing
    columns = {
        "parameter": [p.path for p in shown],
        "this trial": [_text(p.value) for p in shown],
        "default": [_text(p.default) if p.value is not None else "" for p in shown],
    }
    if chart.best is not None and not is_best:
        columns[f"best (trial {chart.best})"] = [_text(p.best) for p in shown]
    columns["differs from"] = [_differs(p, chart) for p in shown]
    st.dataframe(
        columns, hide_index=True, height=min(35 * (len(shown) + 1) + 3, 480),
        column_config={"parameter": st.column_config.TextColumn(width="medium")},
        alt="The params of the trial beside the defaults and those of the best trial.",
    )  # fmt: skip
    if chart.shown < chart.total:
        st.caption(f"{chart.shown:,} of {numbers(chart.total, 'parameter')}")


def _differs(p: TrialParam, chart: TrialChart) -> str:
    found = []
    if p.value is not None and p.value != p.default:
        found.append("default")
    if chart.best is not None and chart.best != chart.number and p.value != p.best:
        found.append("best")
    return ", ".join(found)


def _text(value: object) -> str:
    if value is None:
        return "not active"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


VIEW = StudyPage("trial", "Trial", ":material/science:", show, is_linked=False)
