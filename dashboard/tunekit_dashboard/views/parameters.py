"""The page of the parameters: which matter where, and what values are good."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import streamlit as st

from tunekit.analysis.charts.contour_records import ContourChart
from tunekit.analysis.charts.records import ImportanceChart, PointsChart
from tunekit.plots.contour import contour_figure
from tunekit.plots.importance import branch_name, importance_figure, importance_panels
from tunekit.plots.parallel import parallel_figure
from tunekit.plots.slices import slices_figure
from tunekit_dashboard.figures import show_figure, trial_links
from tunekit_dashboard.frame import StudyFrame
from tunekit_dashboard.navigation import StudyPage
from tunekit_dashboard.texts import cut

MAX_PICKED = 12
"""Parameters that a reader can choose at once."""


def show(study: StudyFrame) -> None:
    """Draw the chosen one of four views of the parameters."""
    tab = st.segmented_control(
        "View", list(_TABS), default="importance", required=True, key="tab", bind="query-params",
        format_func=str.capitalize, label_visibility="collapsed",
    )  # fmt: skip
    _TABS[tab](study)


def _importance(study: StudyFrame) -> None:
    chart = study.chart("importance", ImportanceChart)
    places = list(range(len(chart.branches)))
    chosen = st.selectbox(
        "Branch of the space", [-1, *places], key="part", bind="query-params",
        format_func=lambda i: "Side by side" if i < 0 else cut(branch_name(chart.branches[i]), 80),
    )  # fmt: skip
    if chosen < 0:
        show_figure(importance_panels(chart), key="importance")
        for i, part in enumerate(chart.branches[:6]):
            if part.parameters and i == 0:
                st.caption(
                    f"Good: the best {part.n_good:,} of {part.n:,} complete trials within the "
                    "constraints. A parameter matters as far as its values differ between the "
                    "good trials and the others."
                )
    else:
        show_figure(importance_figure(chart, chosen), key=f"importance {chosen}")


def _slices(study: StudyFrame) -> None:
    paths = _chosen_paths(study, "Parameters", MAX_PICKED)
    chart = study.chart("slices", PointsChart, path=paths or None)
    trial_links(study, show_figure(slices_figure(chart, most=MAX_PICKED), key="slices"))


def _contour(study: StudyFrame) -> None:
    paths = _chosen_paths(study, "Two parameters", 2)
    if len(paths) == 1:
        st.caption("Choose a second parameter.")
        return
    chart = study.chart("contour", ContourChart, path=paths or None)
    trial_links(study, show_figure(contour_figure(chart), key="contour"))


def _parallel(study: StudyFrame) -> None:
    paths = _chosen_paths(study, "Parameters", MAX_PICKED)
    # Where a branch is the filter, its own parameters alone vary: the others are left out.
    chart = study.chart("parallel", PointsChart, path=paths or None)
    picked = show_figure(parallel_figure(chart), key="parallel")
    if not picked:
        st.caption("Click a line to open its trial; narrow the trials by branch on the left.")
    trial_links(study, picked)


def _chosen_paths(study: StudyFrame, label: str, most: int) -> list[str]:
    """Return the parameters that the reader wants to see; none for the most important ones."""
    space = study.record.spec.space
    if space is None:
        return []
    return st.multiselect(
        label, [p.path for p in space], max_selections=most,
        key="pair" if most == 2 else "paths", bind="query-params",
        placeholder="The most important ones", format_func=lambda p: cut(p, 200),
    )  # fmt: skip


_TABS: Mapping[str, Callable[[StudyFrame], None]] = {
    "importance": _importance,
    "slices": _slices,
    "contour": _contour,
    "parallel": _parallel,
}

VIEW = StudyPage("parameters", "Parameters", ":material/tune:", show)
