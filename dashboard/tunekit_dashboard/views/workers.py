"""The page of the workers: who ran what when, who stands idle, and why trials wait."""

from __future__ import annotations

import streamlit as st

from tunekit.analysis.charts.study_records import WorkerRow, WorkersChart
from tunekit.analysis.charts.time_records import TimelineChart
from tunekit.plots.timeline import idle_gaps, timeline_figure
from tunekit_dashboard.figures import show_figure, trial_links
from tunekit_dashboard.frame import StudyFrame
from tunekit_dashboard.navigation import StudyPage
from tunekit_dashboard.texts import cut, numbers, plain
from tunekit_dashboard.times import shown_span, shown_time

_ORDER = {"failing": 0, "lost": 1, "running": 2, "idle": 3}
N_GAPS = 20
"""Idle times in the list, the longest ones."""


def show(study: StudyFrame) -> None:
    """Draw why trials wait, the timeline, the workers, and the times in which one stood idle."""
    if study.place.is_shared:
        st.info("A share link does not show workers.", icon=":material/lock:")
        return
    known = study.live_chart("workers", WorkersChart)
    if known.waits_because:
        st.info(f"Waits because: {plain(known.waits_because, 500)}", icon=":material/schedule:")
    chart = study.chart("timeline", TimelineChart)
    picked = show_figure(timeline_figure(chart), key="timeline")
    trial_links(study, picked)
    _table(known)
    gaps = sorted(idle_gaps(chart), key=lambda gap: gap[1] - gap[2])
    if not gaps:
        return
    st.markdown("**Idle times**")
    shown = gaps[:N_GAPS]
    st.dataframe(
        {
            "worker": [cut(chart.workers[row], 80) for row, _, _ in shown],
            "idle": [shown_span(end - start) for _, start, end in shown],
            "from": [shown_time(start) for _, start, _ in shown],
            "to": [shown_time(end) for _, _, end in shown],
        },
        hide_index=True, height=min(35 * (len(shown) + 1) + 3, 420),
        alt="The longest times in which a worker ran no trial.",
    )  # fmt: skip
    st.caption(f"{len(shown):,} of {numbers(len(gaps), 'idle time')}, the longest first.")


def _table(chart: WorkersChart) -> None:
    """Draw one row per worker, repeatedly failing ones first."""
    if not chart.workers:
        return
    workers = sorted(chart.workers, key=lambda w: _ORDER.get(w.state, 9))
    failing = [w for w in workers if w.state == "failing"]
    for w in failing[:3]:
        st.error(
            f"{plain(w.worker, 80)} failed {numbers(w.failed_in_a_row, 'time')} in a row; set it "
            f"aside until it is mended. The last reason: {plain(w.last_failure, 200) or 'none'}",
            icon=":material/report:",
        )
    st.markdown("**What each has done**")
    st.dataframe(
        {
            "worker": [cut(w.worker, 80) for w in workers],
            "state": [w.state for w in workers],
            "runs": [", ".join(map(str, w.running)) for w in workers],
            "trials": [w.n_trials for w in workers],
            "failed": [w.n_failed for w in workers],
            "busy": [_share(w) for w in workers],
            "last seen": [shown_time(w.last_seen) for w in workers],
        },
        hide_index=True, height=min(35 * (len(workers) + 1) + 3, 420),
        alt="The workers with what each has done.",
    )  # fmt: skip
    if chart.shown < chart.total:
        st.caption(f"{chart.shown:,} of {numbers(chart.total, 'worker')}, those seen last.")


def _share(w: WorkerRow) -> str:
    known = w.last_seen - w.first_seen
    return f"{min(w.busy_s / known, 1.0):.0%}" if known > 0 else ""


VIEW = StudyPage(
    "workers", "Workers", ":material/engineering:", show,
    is_shown=lambda study: not study.place.is_shared,
)  # fmt: skip
