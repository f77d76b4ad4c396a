"""The page of the search space: its parameters, its versions, and what widening would do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import streamlit as st

from tunekit.analysis.charts.records import HealthChart, PointsChart
from tunekit.analysis.health.findings import Finding
from tunekit.errors import TunekitError
from tunekit.spaces import Categorical, Float, Int, Parameter, Scalar, Space
from tunekit.spaces.domains import Numeric
from tunekit.spaces.serialize import space_from_dict, space_to_dict
from tunekit.spaces.versions import SpaceEdit, diff, widen
from tunekit.storages.codec import from_dict
from tunekit.storages.http.messages import SpacePage, SpaceVersion
from tunekit_dashboard.actions.permission import action_button, attempt
from tunekit_dashboard.client import page_reader
from tunekit_dashboard.frame import StudyFrame
from tunekit_dashboard.live import hold_live
from tunekit_dashboard.navigation import StudyPage
from tunekit_dashboard.piling import Piling, pilings
from tunekit_dashboard.places import StudyPlace
from tunekit_dashboard.texts import cut, numbers, plain
from tunekit_dashboard.theme import main_kind

MAX_ROWS = 300
"""Parameters in the table."""


def show(study: StudyFrame) -> None:
    """Draw the space, where good trials press against its bounds, and its versions."""
    known = _known(study)
    space = space_from_dict(known.space)
    chart = study.chart("parallel", PointsChart)
    piled = {p.path: p for p in pilings(chart)}
    finding = _boundary(study)
    if finding is not None:
        st.warning(plain(f"{finding.text} {finding.advice}", 900), icon=":material/warning:")
    _table(space, piled)
    if known.version == 0:
        st.caption("The program discovers this space as it runs; edit the program to change it.")
    elif action_button(
        study, "Widen a parameter", key="widen", icon=":material/open_in_full:", kind=main_kind()
    ):
        hold_live()
        _widen_dialog(study.place, known, finding.paths[0] if finding is not None else "")
    if known.version > 0 and not study.place.is_shared:
        _versions(study)


def _known(study: StudyFrame) -> SpaceVersion:
    """Return the current space; a share link has it in the study itself."""
    space = study.record.spec.space
    if study.place.is_shared and space is not None:
        return SpaceVersion(study.record.space_version, space_to_dict(space))
    return study.read("/space", SpaceVersion)


def _boundary(study: StudyFrame) -> Finding | None:
    """Return the finding that trials press against a bound, by the rule of the health checks."""
    if study.place.is_shared or not study.record.n_trials:
        return None
    chart = study.read("/charts/health", HealthChart)
    return next((f for f in chart.findings if f.check == "boundary" and f.is_sick), None)


def _table(space: Space, piled: Mapping[str, Piling]) -> None:
    shown = list(space)[:MAX_ROWS]
    asked = st.text_input(
        "Find a parameter", key="find parameter", placeholder="a part of its name"
    ) if len(space) > 20 else ""  # fmt: skip
    if asked:
        shown = [p for p in space if asked.lower() in p.path.lower()][:MAX_ROWS]
    st.dataframe(
        {
            "parameter": [p.path for p in shown],
            "values": [_values(p) for p in shown],
            "default": [_value(p.domain.default_value()) for p in shown],
            "active": [p.requirement() or "always" for p in shown],
            "good trials at the low end": [_share(piled, p.path, is_low=True) for p in shown],
            "at the high end": [_share(piled, p.path, is_low=False) for p in shown],
        },
        hide_index=True, height=min(35 * (len(shown) + 1) + 3, 560),
        column_config={"parameter": st.column_config.TextColumn(width="medium")},
        alt="The parameters of the space.",
    )  # fmt: skip
    if len(shown) < len(space):
        st.caption(f"{len(shown):,} of {numbers(len(space), 'parameter')}")


def _values(p: Parameter) -> str:
    domain = p.domain
    if isinstance(domain, Categorical):
        return cut(", ".join(map(str, domain.choices[:20])), 120)
    if isinstance(domain, Numeric):
        scale = ", log" if domain.log else ""
        step = f", step {domain.step:g}" if domain.step is not None else ""
        return f"{domain.lo:g} to {domain.hi:g}{scale}{step}"
    return cut(str(domain.default_value()), 80)


def _value(value: Scalar) -> str:
    return f"{value:.6g}" if isinstance(value, float) else cut(str(value), 80)


def _share(piled: Mapping[str, Piling], path: str, *, is_low: bool) -> str:
    found = piled.get(path)
    if found is None or not found.n:
        return ""
    return f"{found.low if is_low else found.high:.0%}"


def _versions(study: StudyFrame) -> None:
    page = study.read("/spaces", SpacePage)
    if len(page.versions) < 2:
        st.caption("This is the first version of the space.")
        return
    st.markdown("**Versions**")
    spaces = [space_from_dict(v.space) for v in page.versions]
    for i in range(len(spaces) - 1, 0, -1):
        with st.container(border=True):
            st.markdown(f"**Version {page.versions[i].version}**")
            for change in diff(spaces[i - 1], spaces[i])[:20]:
                st.markdown(f"- {plain(str(change), 300)}")


@st.dialog("Widen a parameter", width="medium", on_dismiss="rerun")
def _widen_dialog(place: StudyPlace, known: SpaceVersion, first: str) -> None:
    space = space_from_dict(known.space)
    able = [p.path for p in space if isinstance(p.domain, Float | Int | Categorical)]
    if not able:
        st.markdown("The space has no parameter that could be widened.")
        return
    path = st.selectbox(
        "Parameter", able, index=able.index(first) if first in able else 0, key="widen path",
        format_func=lambda p: cut(p, 80),
    )  # fmt: skip
    wider = _wider(space, path)
    if wider is None:
        return
    reader = page_reader(place)
    body = space_to_dict(wider)
    try:
        doc = reader.change("PUT", f"{place.path}/space?preview=true", body)
        _preview(from_dict(SpaceEdit, doc))
    except TunekitError as error:
        st.error(plain(str(error), 1000), icon=":material/error:")
        return
    if st.button("Widen", type=main_kind(), key="widen send", icon=":material/open_in_full:"):
        match = {"If-Match": f'"{known.version}"'}
        attempt(
            lambda: reader.change("PUT", f"{place.path}/space", body, headers=match),
            "The space is widened; new trials use it.",
        )


def _wider(space: Space, path: str) -> Space | None:
    """Draw the fields for a parameter; return the widened space, `None` while it is the same."""
    domain = space.by_path[path].domain
    given: dict[str, Any] = {}
    if isinstance(domain, Numeric):
        is_whole = isinstance(domain, Int)
        kind = int if is_whole else float
        left, right = st.columns(2)
        ends = (("lo", "Lowest value", left), ("hi", "Highest value", right))
        for name, label, column in ends:
            now = getattr(domain, name)
            value = column.number_input(
                label, value=kind(now), key=f"widen {name} {path}",
                step=1 if is_whole else None, format="%d" if is_whole else "%g",
            )  # fmt: skip
            if value is not None and value != now:
                given[name] = kind(value)
    else:
        text = st.text_input("Further choice", key=f"widen choice {path}", max_chars=200)
        if text:
            given["choices"] = [_read(text)]
    if not given:
        st.caption("Change a bound or name a choice to see what it would do.")
        return None
    try:
        return widen(space, path, **given)
    except TunekitError as error:
        st.error(plain(str(error), 1000), icon=":material/error:")
        return None


def _preview(edit: SpaceEdit) -> None:
    for change in edit.changes:
        st.markdown(f"- {plain(change, 300)}")
    total = edit.n_valid + edit.n_outside
    st.info(
        f"{edit.n_valid:,} of {numbers(total, 'trial')} stay valid"
        + (f"; {edit.n_outside:,} lie outside and are kept, but no sampler sees them."
           if edit.n_outside else "."),
        icon=":material/rule:",
    )  # fmt: skip


def _read(text: str) -> Scalar:
    """Return a choice written as JSON, or as a bare text."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, str | int | float | bool) else text


VIEW = StudyPage("space", "Space", ":material/category:", show)
