"""The page that shows how the results came about: history and curves."""

from __future__ import annotations

import streamlit as st

from tunekit.analysis.charts.records import CurvesChart, HistoryChart
from tunekit.plots.curves import curves_figure
from tunekit.plots.history import history_figure
from tunekit.records import StudyState
from tunekit_dashboard.client import page_reader
from tunekit_dashboard.figures import show_figure, trial_links
from tunekit_dashboard.frame import StudyFrame, study_frame
from tunekit_dashboard.navigation import StudyPage
from tunekit_dashboard.places import StudyPlace

CURVES_S = 10.0
"""Seconds from look to look for new reports, which arrive without an event of the study."""


def show(study: StudyFrame) -> None:
    """Draw the results by trial, and below them the curves."""
    picked = show_figure(history_figure(study.chart("history", HistoryChart)), key="history")
    if picked:
        trial_links(study, picked)
    else:
        st.caption("Click a trial to see its curve below and to open it.")
    is_live = study.record.state is StudyState.ACTIVE
    draw = st.fragment(_curves, run_every=CURVES_S if is_live else None, key="curves")
    draw(study.place, picked)


def _curves(place: StudyPlace, picked: tuple[int, ...]) -> None:
    study = study_frame(page_reader(place), place)
    chart = study.live_chart("curves", CurvesChart, number=list(picked) or None)
    show_figure(curves_figure(chart, picked), key="curves")


VIEW = StudyPage("progress", "Progress", ":material/show_chart:", show)
