"""The page of the scaling law that the trials of a study tell."""

from __future__ import annotations

import streamlit as st

from tunekit.plots.figure_records import LawChart, panel_figure
from tunekit_dashboard.figures import show_figure
from tunekit_dashboard.frame import StudyFrame
from tunekit_dashboard.navigation import StudyPage
from tunekit_dashboard.texts import numbers, plain


def show(study: StudyFrame) -> None:
    """Draw the prediction and its doubts, then the figures."""
    chart = study.read("/charts/law", LawChart)
    if chart.reason:
        st.info(f"No law yet: {plain(chart.reason, 600)}", icon=":material/hourglass_empty:")
        return
    st.caption(f"Fitted to {numbers(chart.shown, 'run')} of {numbers(chart.total, 'trial')}.")
    if chart.prediction:
        st.markdown("**At the largest N and D of the space**")
        st.code("\n".join(chart.prediction), language=None)
    for warning in chart.warnings:
        st.warning(plain(warning, 600), icon=":material/warning:")
    for i, record in enumerate(chart.figures):
        show_figure(panel_figure(record), key=f"law {i}")


def is_shown(study: StudyFrame) -> bool:
    """Return whether the study has scale axes, from which a law is fitted."""
    space = study.record.spec.space
    return space is not None and bool(space.scales)


VIEW = StudyPage("law", "Law", ":material/trending_up:", show, is_shown=is_shown)
