"""The filters of a study, which apply to all its charts and are kept in the page's address."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import streamlit as st

from tunekit.records import StudyRecord, TrialState
from tunekit_dashboard.texts import cut, plain

BRANCH, STATE, METRIC, LOW, HIGH = "branch", "state", "metric", "low", "high"
"""Parameters of an address; `branch` is `path=value`, and `state` may be repeated."""

STATES = tuple(str(s) for s in TrialState)
MAX_TEXT = 200
"""Longest name of a metric or of a branch, as in the service's own routes."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Which trials and which metric all charts of a study show.

    Attributes:
        branch: `path=value` of a choice of the space; empty for all.
        states: of the trials; empty for all.
        metric: to show; empty for the first objective.
        low, high: bounds of its value; `None` for none.
    """

    branch: str = ""
    states: tuple[str, ...] = ()
    metric: str = ""
    low: float | None = None
    high: float | None = None

    @property
    def query(self) -> dict[str, object]:
        """Return them as values of a chart's query; those that are not set are `None`."""
        return {
            BRANCH: self.branch or None,
            STATE: ",".join(self.states) or None,
            METRIC: self.metric or None,
            LOW: self.low,
            HIGH: self.high,
        }

    @property
    def address(self) -> dict[str, str]:
        """Return their query parameters for the address of a page."""
        return {k: str(v) for k, v in self.query.items() if v is not None}


def filters_in(query: Mapping[str, str], record: StudyRecord) -> Filters:
    """Return the filters in an address; what does not fit the study is left out."""
    metrics = [o.metric for o in record.spec.objectives]
    states = [s for s in query.get(STATE, "").split(",") if s in STATES]
    metric = query.get(METRIC, "")
    branch = query.get(BRANCH, "")
    return Filters(
        branch=branch if "=" in branch and len(branch) <= MAX_TEXT else "",
        states=tuple(dict.fromkeys(states)),
        metric=metric if metric in metrics else "",
        low=_number(query.get(LOW, "")),
        high=_number(query.get(HIGH, "")),
    )


def filter_controls(record: StudyRecord, now: Filters, branches: Sequence[str]) -> None:
    """Draw the controls of the filters; a change writes the address and runs the page again.

    Args:
        record: the study.
        now: filters in the address.
        branches: of the space, as `path=value`.
    """
    places = ["", *dict.fromkeys([*branches, *([now.branch] if now.branch else [])])]
    st.selectbox(
        "Branch", places, index=places.index(now.branch), key="filter branch",
        format_func=lambda b: cut(b, 60) or "All", on_change=_write,
    )  # fmt: skip
    st.multiselect(
        "State", STATES, default=list(now.states), key="filter states", on_change=_write,
        placeholder="All",
    )  # fmt: skip
    metrics = [o.metric for o in record.spec.objectives]
    if len(metrics) > 1:
        index = metrics.index(now.metric) if now.metric else 0
        st.selectbox(
            "Metric", metrics, index=index, key="filter metric", on_change=_write,
            format_func=lambda m: cut(m, 60),
        )  # fmt: skip
    name = plain(now.metric or metrics[0], 40)
    left, right = st.columns(2)
    left.number_input(
        f"{name} from", value=now.low, key="filter low", on_change=_write, format="%g"
    )
    right.number_input("to", value=now.high, key="filter high", on_change=_write, format="%g")
    if now != Filters():
        st.button("Show all", key="filter none", on_click=_clear, icon=":material/filter_alt_off:")


def choose_branch(branch: str) -> None:
    """Make a branch the filter of all pages, as a click in a chart does.

    Args:
        branch: `path=value`; empty for all trials.
    """
    st.session_state["filter branch"] = branch
    if branch:
        st.query_params[BRANCH] = branch
    else:
        st.query_params.pop(BRANCH, None)


def _write() -> None:
    """Write the controls into the address."""
    chosen = {
        BRANCH: st.session_state.get("filter branch") or "",
        STATE: ",".join(st.session_state.get("filter states") or ()),
        METRIC: st.session_state.get("filter metric") or "",
        LOW: _text(st.session_state.get("filter low")),
        HIGH: _text(st.session_state.get("filter high")),
    }
    for name, text in chosen.items():
        if text:
            st.query_params[name] = text
        else:
            st.query_params.pop(name, None)


def _clear() -> None:
    for name in (BRANCH, STATE, METRIC, LOW, HIGH):
        st.query_params.pop(name, None)
    for key in ("branch", "states", "metric", "low", "high"):
        st.session_state.pop(f"filter {key}", None)


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.12g}"


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
