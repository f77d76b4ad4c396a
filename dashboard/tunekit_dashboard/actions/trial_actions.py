"""What a page can do with one trial: stop it, run it again, branch from it, try one beside it."""

from __future__ import annotations

import streamlit as st

from tunekit.analysis.charts.records import TrialChart
from tunekit.records import Branch, TrialState
from tunekit.spaces import Scalar
from tunekit.storages.http.messages import Cancel, RetryTrial
from tunekit_dashboard.actions.enqueue import enqueue_button
from tunekit_dashboard.actions.permission import action_button, attempt
from tunekit_dashboard.client import page_reader
from tunekit_dashboard.frame import StudyFrame
from tunekit_dashboard.live import hold_live
from tunekit_dashboard.places import StudyPlace
from tunekit_dashboard.theme import main_kind


def trial_actions(study: StudyFrame, chart: TrialChart) -> None:
    """Draw the buttons for one trial; disabled ones say why."""
    if study.place.is_shared:
        return
    is_finished = bool(TrialState(chart.state).is_finished)
    params: dict[str, Scalar] = {p.path: p.value for p in chart.params if p.value is not None}
    without = "" if params else "It has no params yet."
    with st.container(horizontal=True):
        enqueue_button(
            study, "Enqueue a neighbour", key="enqueue neighbour", start=params, why_not=without,
        )  # fmt: skip
        enqueue_button(
            study, "Branch", key="enqueue branch", icon=":material/call_split:", start=params,
            branch=Branch(chart.number, chart.checkpoints[-1]) if chart.checkpoints else None,
            why_not="" if chart.checkpoints else "It has no checkpoint to start from.",
        )  # fmt: skip
        if action_button(
            study, "Run again", key="retry trial", icon=":material/replay:",
            why_not=without or ("" if is_finished else "It has not ended."),
        ):  # fmt: skip
            hold_live()
            _retry(study.place, chart.number, has_checkpoint=bool(chart.checkpoints))
        if not is_finished and action_button(
            study, "Stop", key="stop trial", icon=":material/stop_circle:"
        ):
            hold_live()
            _stop(study.place, chart.number)


@st.dialog("Stop this trial?", on_dismiss="rerun")
def _stop(place: StudyPlace, number: int) -> None:
    st.markdown(
        f"Trial {number} ends as cancelled at its next report. Its reports stay; it does not run "
        "again."
    )
    reason = st.text_input("Reason", key="stop reason", max_chars=300)
    if st.button("Stop trial", type=main_kind(), key="stop send", icon=":material/stop_circle:"):
        reader = page_reader(place)
        attempt(
            lambda: reader.change("POST", f"{place.path}/trials/{number}:cancel", Cancel(reason)),
            f"Trial {number} is cancelled.",
        )


@st.dialog("Run this trial again?", on_dismiss="rerun")
def _retry(place: StudyPlace, number: int, *, has_checkpoint: bool) -> None:
    st.markdown(f"A new trial with the params of trial {number} waits for a free worker.")
    goes_on = has_checkpoint and st.toggle("From its last checkpoint", key="retry from checkpoint")
    if st.button("Run again", type=main_kind(), key="retry send", icon=":material/replay:"):
        reader = page_reader(place)
        attempt(
            lambda: reader.change(
                "POST", f"{place.path}/trials/{number}:retry", RetryTrial(from_checkpoint=goes_on)
            ),
            "The new trial waits for a free worker.",
        )
