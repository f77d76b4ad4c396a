"""The page of database knobs: verdict, before and after, changes, rejections, and the way back."""

from __future__ import annotations

import shlex

import streamlit as st

from tunekit.analysis.charts.knob_records import KnobsChart
from tunekit.analysis.charts.knobs import MARK
from tunekit.plots.figure import FigureTable
from tunekit.plots.knobs import (
    changes_table,
    gains_figure,
    measures_figure,
    measures_table,
    rejections_table,
)
from tunekit_dashboard.figures import show_figure
from tunekit_dashboard.frame import StudyFrame
from tunekit_dashboard.navigation import StudyPage
from tunekit_dashboard.texts import plain


def show(study: StudyFrame) -> None:
    """Draw the verdict, what was measured, what changes by it, and what was rejected."""
    chart = study.read("/charts/knobs", KnobsChart)
    if chart.reason:
        st.info(f"No knobs here: {plain(chart.reason, 300)}.", icon=":material/hourglass_empty:")
        return
    _verdict(chart)
    _rows("Before and after", measures_table(chart))
    if chart.measures:
        show_figure(measures_figure(chart), key="knobs measures")
    if chart.comparisons:
        show_figure(gains_figure(chart), key="knobs gains")
    _rows("Changed knobs", changes_table(chart))
    if chart.changes:
        _commands(study.record.spec.name)
    _rows("Rejected, and why", rejections_table(chart))
    if chart.left_out:
        with st.expander("Knobs that were not searched"):
            _rows("", FigureTable(("knob", "why"), chart.left_out))


def _verdict(chart: KnobsChart) -> None:
    if not chart.verdict:
        text = "No verdict yet: trials run, and the best ones are measured again afterwards."
        st.info(text, icon=":material/hourglass_empty:")
        return
    st.caption(plain(f"{chart.server}, {chart.workload}", 200))
    draw = st.success if chart.verdict == "faster" else st.info
    draw(plain(chart.sentence, 600), icon=":material/balance:")
    st.markdown("  \n".join(plain(line, 400) for line in chart.method))
    for warning in (*chart.warnings, *[c.loss for c in chart.changes if c.loss]):
        st.warning(plain(warning, 400), icon=":material/warning:")


def _rows(title: str, rows: FigureTable) -> None:
    if not rows.rows:
        return
    if title:
        st.markdown(f"**{title}**")
    columns = {name: [row[i] for row in rows.rows] for i, name in enumerate(rows.columns)}
    st.dataframe(columns, hide_index=True, alt=title or "A table")


def _commands(name: str) -> None:
    """Show how the changes come into force, and back: a page never touches a server."""
    st.markdown("**Apply, and the way back**")
    study = shlex.quote(name)
    st.code(
        f"tunekit knobs apply TARGET --study {study}\ntunekit knobs rollback TARGET",
        language=None,
    )


def is_shown(study: StudyFrame) -> bool:
    """Return whether the study tunes knobs of a database."""
    attrs = study.record.spec.attrs
    return not study.place.is_shared and MARK.items() <= attrs.items()


VIEW = StudyPage("knobs", "Knobs", ":material/tune:", show, is_shown=is_shown)
