"""The dialog that enqueues a trial: some values by hand, the others by the sampler."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from tunekit.records import Branch
from tunekit.spaces import Categorical, Int, Parameter, Scalar, Space
from tunekit.spaces.domains import Numeric
from tunekit.spaces.serialize import space_from_dict
from tunekit.storages.http.messages import Enqueue, SpaceVersion
from tunekit_dashboard.actions.permission import action_button, attempt
from tunekit_dashboard.client import page_reader
from tunekit_dashboard.frame import StudyFrame
from tunekit_dashboard.live import hold_live
from tunekit_dashboard.places import StudyPlace
from tunekit_dashboard.texts import cut, plain
from tunekit_dashboard.theme import main_kind

MAX_SHOWN = 12
"""Parameters with a field at once; a larger space offers the others by name."""
_OPEN = "the sampler proposes"


def enqueue_button(
    study: StudyFrame,
    label: str,
    *,
    key: str,
    fixed: Mapping[str, Scalar] | None = None,
    start: Mapping[str, Scalar] | None = None,
    branch: Branch | None = None,
    icon: str = ":material/playlist_add:",
    why_not: str = "",
) -> None:
    """Draw a button that opens the dialog.

    Args:
        study: the study.
        label: of the button.
        key: unique on the page.
        fixed: values that the dialog does not change, such as the choices of a branch.
        start: values that it begins with.
        branch: checkpoint from which the trial is to start.
        icon: a Material symbol.
        why_not: why it cannot be done now.
    """
    if action_button(study, label, key=key, icon=icon, why_not=why_not):
        hold_live()
        for name in [k for k in st.session_state if str(k).startswith("enqueue field ")]:
            del st.session_state[name]
        _dialog(study.place, dict(fixed or {}), dict(start or {}), branch)


@st.dialog("Enqueue a trial", width="medium", on_dismiss="rerun")
def _dialog(
    place: StudyPlace,
    fixed: Mapping[str, Scalar],
    start: Mapping[str, Scalar],
    branch: Branch | None,
) -> None:
    reader = page_reader(place)
    space = space_from_dict(reader.of_study(place, "/space", SpaceVersion).space)
    if branch is not None:
        st.markdown(
            f"It starts from the checkpoint of trial {branch.number} at step {branch.step}."
        )
    st.caption(f"It runs before new proposals. What is left empty, {_OPEN}.")
    given = _fields(space, fixed, start)
    if st.button("Enqueue", type=main_kind(), key="enqueue send", icon=":material/playlist_add:"):

        def send() -> None:
            space.complete(given)  # refuses what no trial could run with, in a sentence
            body = Enqueue((given,), branch=branch)
            reader.change("POST", f"{place.path}/trials:enqueue", body)

        attempt(send, "The trial waits for a free worker.")


def _fields(
    space: Space, fixed: Mapping[str, Scalar], start: Mapping[str, Scalar]
) -> dict[str, Any]:
    """Draw a field for each active parameter; return the values that are set."""
    given: dict[str, Any] = dict(fixed)
    for path, value in fixed.items():
        st.markdown(f"**{plain(path, 60)}** = {plain(str(value), 60)}")
    chosen: list[str] = []
    if len(space) > MAX_SHOWN:
        chosen = st.multiselect(
            "Parameters to set", [p.path for p in space if p.path not in fixed],
            default=[path for path in start if path in space.by_path and path not in fixed][:40],
            key="enqueue field names", placeholder=_OPEN, format_func=lambda p: cut(p, 80),
        )  # fmt: skip
    for p in space:
        is_asked = len(space) <= MAX_SHOWN or p.path in chosen
        if p.path in given or not is_asked or not p.is_active(given):
            continue
        value = _field(p, start.get(p.path))
        if value is not None:
            given[p.path] = value
    return given


def _field(p: Parameter, start: Scalar | None) -> Scalar | None:
    key, label = f"enqueue field {p.path}", plain(p.path, 80)
    domain = p.domain
    if isinstance(domain, Categorical):
        choices = list(domain.choices)
        index = choices.index(start) if start in choices else None
        picked: Scalar | None = st.selectbox(
            label, choices, index=index, key=key, placeholder=_OPEN,
            format_func=lambda c: cut(str(c), 80),
        )  # fmt: skip
        return picked
    if not isinstance(domain, Numeric):
        return None
    kind: Callable[[Any], Any] = int if isinstance(domain, Int) else float
    shown = kind(start) if isinstance(start, int | float) else None
    low, high = (min([domain.lo, *domain.special]), max([domain.hi, *domain.special]))
    value: float | None = st.number_input(
        f"{label} ({low:g} to {high:g})", value=shown, key=key, placeholder=_OPEN,
        min_value=kind(low), max_value=kind(high), format="%d" if kind is int else "%g",
        step=None if kind is float else 1,
    )  # fmt: skip
    return value
