"""The page of the proposers: who proposed the trials, what came of it, and a model's advice."""

from __future__ import annotations

import json

import streamlit as st

from tunekit.analysis.charts.proposer_records import AdviceRow, AdviceText, ProposersChart
from tunekit.plots.proposers import proposers_figure, share_figure
from tunekit_dashboard.figures import show_figure
from tunekit_dashboard.frame import StudyFrame
from tunekit_dashboard.navigation import StudyPage
from tunekit_dashboard.places import TRIAL, trial_in
from tunekit_dashboard.texts import cut, number, numbers, plain

N_LINKS = 8
"""Links to the trials that took points of one advice."""


def show(study: StudyFrame) -> None:
    """Draw the hits and best results of each sampler, then the advice of a language model."""
    if study.place.is_shared:
        st.info("Whoever has a share link sees no proposers.", icon=":material/lock:")
        return
    asked = trial_in(st.query_params.to_dict())
    query = {} if asked is None else {"number": asked}
    chart = study.chart("proposers", ProposersChart, **query)
    if not chart.proposers:
        st.info("No trial has ended yet.", icon=":material/hourglass_empty:")
        return
    if chart.n_calls:
        _numbers(chart)
    _table(chart)
    show_figure(proposers_figure(chart), key="proposers")
    if not chart.n_calls:
        st.caption("No language model has been asked; the option llm of the sampler auto does.")
        return
    show_figure(share_figure(chart), key="share")
    _requests(study, chart)
    if chart.text is not None:
        _texts(study, chart.text, chart.advice)


def _numbers(chart: ProposersChart) -> None:
    rate, cost, calls = st.columns(3)
    own = next((p for p in chart.proposers if p.sampler == "llm"), None)
    with rate:
        n, hits = (own.n_trials, own.hits) if own is not None else (0, 0)
        st.metric("Hit rate of the language model", f"{hits / n:.0%}" if n else "-", border=True)
        st.caption(
            f"{hits:,} of {numbers(n, 'trial')} improved the best result; that its rate is the "
            f"higher one has a chance of {chart.chance:.0%}."
        )
    with cost:
        st.metric("Cost", f"${chart.dollars:,.4f}", border=True)
        st.caption(f"{chart.tokens:,} tokens; an answer without a known price counts no dollars.")
    with calls:
        st.metric("Requests", f"{chart.n_calls:,}", border=True)
        st.caption(f"{chart.n_failed:,} without a usable point; {chart.seconds:,.1f} s in all.")


def _table(chart: ProposersChart) -> None:
    rows = chart.proposers
    st.dataframe(
        {
            "proposer": [cut(p.sampler, 60) for p in rows],
            "trials": [p.n_trials for p in rows],
            "hits": [p.hits for p in rows],
            "hit rate": [f"{p.hits / p.n_trials:.0%}" if p.n_trials else "-" for p in rows],
            f"best {cut(chart.metric, 40)}": [number(p.best) for p in rows],
            "of trial": [p.best_number for p in rows],
        },
        hide_index=True, alt="Trials, hits and best result of each proposer.",
    )  # fmt: skip


def _requests(study: StudyFrame, chart: ProposersChart) -> None:
    st.markdown("**Requests to the language model**")
    rows = chart.advice
    state = st.dataframe(
        {
            "trial": [a.number for a in rows],
            "points": [a.n_points for a in rows],
            "used by": [", ".join(map(str, a.used_by)) for a in rows],
            "tokens": [a.tokens for a in rows],
            "dollars": [a.dollars for a in rows],
            "seconds": [a.seconds for a in rows],
            "model": [cut(a.model, 60) for a in rows],
            "rationale or problem": [cut(a.rationale or a.problem, 200) for a in rows],
        },
        hide_index=True, on_select="rerun", selection_mode="single-row",
        key=f"requests {chart.seq}", height=min(35 * (len(rows) + 1) + 3, 320),
        alt="The requests for advice, the newest first.",
    )  # fmt: skip
    picked = [i for i in state.selection.rows if 0 <= i < len(rows)]
    st.caption(f"{len(rows):,} of {numbers(chart.n_calls, 'request')}, the newest first.")
    if picked and chart.text is not None and rows[picked[0]].number != chart.text.number:
        study.go("proposers", **{TRIAL: str(rows[picked[0]].number)})


def _texts(study: StudyFrame, text: AdviceText, rows: tuple[AdviceRow, ...]) -> None:
    """Draw the stored texts of one request verbatim, each in its own frame."""
    st.markdown(f"**The advice stored with trial {text.number:,}**")
    st.caption("These texts come from a language model and from the study; they are data.")
    if text.rationale:
        st.markdown("Rationale")
        st.code(text.rationale, language=None, wrap_lines=True)
    for problem in text.problems:
        st.warning(plain(problem, 500), icon=":material/warning:")
    with st.expander("Prompt", icon=":material/upload:"):
        st.code(text.prompt or "-", language=None, wrap_lines=True, height=420)
    with st.expander("Reply", icon=":material/download:"):
        st.code(text.reply or "-", language=None, wrap_lines=True, height=300)
    if text.points:
        with st.expander(numbers(len(text.points), "usable point"), icon=":material/tune:"):
            st.code(json.dumps(text.points, indent=1), language=None, wrap_lines=True)
    used = next((a.used_by for a in rows if a.number == text.number), ())
    for at in used[:N_LINKS]:
        study.link("trial", f"Trial {at} took a point of it", icon=":material/science:",
                   trial=str(at))  # fmt: skip


VIEW = StudyPage(
    "proposers", "Proposers", ":material/lightbulb:", show,
    is_shown=lambda study: not study.place.is_shared,
)  # fmt: skip
