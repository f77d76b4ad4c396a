"""The page that sets several studies of a project beside each other."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from tunekit.analysis.charts.study_records import StudyRowPage, StudySummary
from tunekit.errors import UnknownStudy
from tunekit.plots.figure import Axis, Line, PlaneFigure, Role
from tunekit.records import StudyRecord
from tunekit.spaces.serialize import space_to_dict
from tunekit.storages.http.connection import quoted
from tunekit_dashboard.client import Reader
from tunekit_dashboard.figures import show_figure
from tunekit_dashboard.navigation import GeneralPage
from tunekit_dashboard.places import PROJECT, StudyPlace, whole
from tunekit_dashboard.texts import cut, number, numbers, plain
from tunekit_dashboard.times import shown_time

MOST = 6
"""Studies side by side."""

COLORS: tuple[Role, ...] = ("complete", "best", "stopped", "failed", "running", "other")
"""Roles with a colour of their own, one for each study."""

STUDIES = "studies"
"""Parameter of the address: ids of studies, separated by commas."""


def show(reader: Reader) -> None:
    """Draw results, settings and spaces of the chosen studies side by side."""
    st.header("Compare studies", anchor=False)
    projects = [p.name for p in reader.projects]
    if not projects:
        st.info("You belong to no project yet.", icon=":material/group_off:")
        return
    project = projects[0]
    if len(projects) > 1:
        project = st.selectbox(
            "Project", projects, key=PROJECT, bind="query-params", format_func=cut
        )
    ids = _chosen(reader, project)
    studies: list[tuple[StudyRecord, StudySummary]] = []
    for study_id in ids:
        place = StudyPlace(project, study_id)
        try:
            record = reader.study(place)
        except UnknownStudy:
            st.warning(f"There is no study {study_id} in this project.")
            continue
        summary = reader.of_study(place, "/charts/summary", StudySummary)
        studies.append((record, summary))
    if len(studies) < 2:
        st.info("Choose two or more studies.", icon=":material/compare_arrows:")
        return
    _results(studies)
    _trends(studies)
    _differences([r for r, _ in studies])


def _chosen(reader: Reader, project: str) -> list[int]:
    """Draw the choice of studies, keep it in the address, and return their ids."""
    given = [t for t in st.query_params.get(STUDIES, "").split(",") if t][:MOST]
    asked = list(dict.fromkeys(whole(t, "study", most=2**31 - 1) for t in given))
    search = st.text_input("Search", key="compare search", placeholder="Part of a name")
    page = reader.get(
        f"/projects/{quoted(project)}/study-rows", StudyRowPage, limit=50, search=search or None
    )
    names = {row.id: row.name for row in page.rows}
    for study_id in asked:
        if study_id not in names:
            try:
                record = reader.study(StudyPlace(project, study_id))
            except UnknownStudy:
                continue
            names[study_id] = record.spec.name
    chosen = st.multiselect(
        "Studies", list(names), default=[i for i in asked if i in names], max_selections=MOST,
        format_func=lambda i: cut(names.get(i, str(i)), 60), key=f"compare {project}",
    )  # fmt: skip
    if chosen:
        st.query_params[STUDIES] = ",".join(map(str, chosen))
    elif not set(asked) - set(names):
        st.query_params.pop(STUDIES, None)
    return [*chosen, *(i for i in asked if i not in names)]


def _results(studies: Sequence[tuple[StudyRecord, StudySummary]]) -> None:
    rows = {
        "Study": [cut(r.spec.name, 60) for r, _ in studies],
        "State": [str(r.state) for r, _ in studies],
        "Metric": [cut(s.metric, 40) for _, s in studies],
        "Best": [number(s.best) for _, s in studies],
        "Noise": [number(s.noise, 2) for _, s in studies],
        "Trials": [numbers(r.n_trials, "trial") for r, _ in studies],
        "Failed": [s.counts.get("failed", 0) + s.counts.get("lost", 0) for _, s in studies],
        "Created": [shown_time(r.created) for r, _ in studies],
    }
    st.dataframe(rows, hide_index=True, alt="The results of the chosen studies")


def _trends(studies: Sequence[tuple[StudyRecord, StudySummary]]) -> None:
    metrics = {s.metric for _, s in studies}
    if len(metrics) > 1:
        st.info(
            f"These studies have different metrics ({plain(', '.join(sorted(metrics)), 200)}), so "
            "their results cannot be drawn on one axis.",
            icon=":material/info:",
        )
        return
    lines = []
    for (record, summary), role in zip(studies, COLORS, strict=False):
        n = len(summary.trend)
        share = tuple(100.0 * (i + 1) / n for i in range(n))
        lines.append(Line(cut(record.spec.name, 40), share, summary.trend, role))
    title = f"best {cut(next(iter(metrics)), 60)} so far"
    best = "; ".join(f"{cut(r.spec.name, 40)} {number(s.best)}" for r, s in studies)
    figure = PlaneFigure(
        title,
        f"The best results so far of {len(studies)} studies: {best}.",
        Axis("share of the study's results in %"),
        Axis(title),
        tuple(lines),
    )
    show_figure(figure, key="compare trends")


def _differences(records: Sequence[StudyRecord]) -> None:
    """Draw the settings and parameters in which the studies differ."""
    st.subheader("Differences", anchor=False)
    settings = [_settings(r) for r in records]
    names = list(dict.fromkeys(n for s in settings for n in s))
    differing = [n for n in names if len({s.get(n, "-") for s in settings}) > 1]
    if not differing:
        st.caption("They have the same settings and the same space.")
        return
    table: dict[str, list[str]] = {"Setting": [cut(n, 80) for n in differing]}
    for record, given in zip(records, settings, strict=True):
        name = cut(record.spec.name, 60)
        name = name if name not in table else f"{name} ({record.id})"
        table[name] = [cut(given.get(n, "-"), 80) for n in differing]
    st.dataframe(table, hide_index=True, alt="The settings in which the studies differ")


def _settings(record: StudyRecord) -> dict[str, str]:
    spec = record.spec
    found = {
        "objectives": ", ".join(f"{o.metric} ({o.direction})" for o in spec.objectives),
        "constraints": ", ".join(f"{c.metric} {c.op} {c.bound:g}" for c in spec.constraints),
        "sampler": spec.sampler,
        "stopper": spec.stopper or "none",
        "seed": str(spec.seed),
        "retries": str(spec.max_retries),
    }
    if spec.space is not None:
        found |= dict(_leaves(space_to_dict(spec.space), "space"))
    return found


def _leaves(value: object, path: str) -> list[tuple[str, str]]:
    """Return the plain values of a nested document by their path."""
    if isinstance(value, dict):
        return [leaf for k, v in value.items() for leaf in _leaves(v, f"{path}.{k}")]
    if isinstance(value, list) and any(isinstance(v, dict) for v in value):
        return [leaf for i, v in enumerate(value) for leaf in _leaves(v, f"{path}.{i}")]
    return [(path, str(value))]


VIEW = GeneralPage("compare", "Compare", ":material/compare_arrows:", show)
