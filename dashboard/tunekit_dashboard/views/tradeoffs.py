"""The page of trade-offs between two or more objectives, with what constraints rule out."""

from __future__ import annotations

import streamlit as st

from tunekit.analysis.charts.records import FrontChart
from tunekit.plots.front import front_figure
from tunekit_dashboard.figures import show_figure, trial_links
from tunekit_dashboard.frame import StudyFrame
from tunekit_dashboard.navigation import StudyPage
from tunekit_dashboard.texts import cut, numbers, plain


def show(study: StudyFrame) -> None:
    """Draw the front, then its trials."""
    chart = study.chart("front", FrontChart)
    picked = show_figure(front_figure(chart), key="front")
    trial_links(study, picked)
    if study.record.spec.constraints:
        bounds = ", ".join(plain(str(c), 80) for c in study.record.spec.constraints)
        st.caption(f"Constraints: {bounds}.")
    if not chart.front:
        return
    st.markdown("**On the front**")
    names = _names(chart)
    state = st.dataframe(
        {"trial": [p.number for p in chart.front]}
        | {name: [p.values[i] for p in chart.front] for i, name in enumerate(names)},
        hide_index=True, on_select="rerun", selection_mode="single-row",
        key=f"front {chart.seq}", height=min(35 * (len(chart.front) + 1) + 3, 420),
        column_config={"trial": st.column_config.NumberColumn(format="%d", width="small")},
        alt="The trials on the front with their objectives.",
    )  # fmt: skip
    rows = [i for i in state.selection.rows if 0 <= i < len(chart.front)]
    if rows:
        study.open_trial(chart.front[rows[0]].number)
    if chart.n_front > len(chart.front):
        st.caption(f"{len(chart.front):,} of {numbers(chart.n_front, 'trial')} on the front.")


def _names(chart: FrontChart) -> list[str]:
    """Return one name a column, with the direction in which it gets better."""
    made: list[str] = []
    for metric, direction in zip(chart.metrics, chart.directions, strict=True):
        name = f"{cut(metric, 60)} ({direction})"
        while name in made:
            name += "'"
        made.append(name)
    return made


VIEW = StudyPage(
    "tradeoffs", "Trade-offs", ":material/balance:", show,
    is_shown=lambda study: len(study.record.spec.objectives) > 1,
)  # fmt: skip
