"""The page with all studies that the caller may see."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from tunekit.analysis.charts.study_records import StudyRow, StudyRowPage, StudySummary
from tunekit.records import StudyState
from tunekit.storages.http.connection import quoted
from tunekit_dashboard.client import Reader
from tunekit_dashboard.live import LIVE_S, watch_answers
from tunekit_dashboard.navigation import GeneralPage, link
from tunekit_dashboard.pills import state_pill
from tunekit_dashboard.places import PROJECT, StudyPlace
from tunekit_dashboard.sentences import event_sentence
from tunekit_dashboard.sparkline import sparkline
from tunekit_dashboard.texts import cut, number, numbers, plain
from tunekit_dashboard.times import shown_time

PAGE = 20
"""Studies of a project that are drawn at once."""

LIST_S = 10.0
"""Seconds after which the list looks for changes."""

WIDTHS = [3.2, 1.2, 1.6, 2.0, 1.6, 2.4]
_ALL = ""

TEN_LINES = """import tunekit as tk

space = tk.Space(lr=tk.Float(1e-4, 1.0, log=True), layers=tk.Int(1, 8))

def loss(trial):  # stands for a training
    p = trial.params
    return abs(p["lr"] - 0.01) + 0.1 * abs(p["layers"] - 3)

study = tk.study("first", space=space, objectives="loss", storage="{storage}")
study.optimize(loss, n_trials=40)
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which studies to list, as kept in the address of the page."""

    search: str = ""
    tag: str = ""
    state: str = ""
    is_mine: bool = False
    is_archived: bool = False
    after: str = ""

    @property
    def is_everything(self) -> bool:
        """Return whether nothing is left out."""
        return self == Wanted(after=self.after)


def show(reader: Reader) -> None:
    """Draw the studies of the caller's projects with what each has come to."""
    st.header("Studies", anchor=False)
    projects = [p.name for p in reader.projects]
    if not projects:
        st.info(
            "You belong to no project yet. Ask an operator for a role in one.",
            icon=":material/group_off:",
        )
        return
    chosen = _project(projects)
    wanted = _wanted(reader)
    shown = [chosen] if chosen else projects

    def read(now: Reader) -> dict[str, StudyRowPage]:
        return {p: _page(now, p, wanted) for p in shown}

    pages = read(reader)
    is_waiting = any(r.summary is None for page in pages.values() for r in page.rows)
    watch_answers(read, pages, period_s=LIVE_S if is_waiting else LIST_S)
    _tags(sorted({t for page in pages.values() for t in page.tags}))
    if not any(page.total for page in pages.values()):
        _nothing(wanted, chosen or projects[0])
        return
    for name, page in pages.items():
        if page.rows:
            _table(reader, name, page, has_title=len(projects) > 1)


def _project(projects: list[str]) -> str:
    """Draw the choice of a project where there are several; return it, empty for all."""
    if len(projects) == 1:
        return projects[0]
    return str(
        st.selectbox(
            "Project", [_ALL, *projects], key=PROJECT, bind="query-params",
            format_func=lambda p: cut(p) or "All projects",
        )
    )  # fmt: skip


def _wanted(reader: Reader) -> Wanted:
    """Draw the controls of the list and keep their values in the address."""
    search, state, mine, archived = st.columns([3, 1.6, 1, 1], vertical_alignment="bottom")
    with search:
        text = st.text_input(
            "Search", key="q", bind="query-params", max_chars=200, placeholder="Part of a name",
            icon=":material/search:",
        )  # fmt: skip
    with state:
        states = ["", *[str(s) for s in StudyState]]
        of_state = st.selectbox(
            "State", states, key="state", bind="query-params", format_func=lambda s: s or "All"
        )
    with mine:
        is_mine = bool(reader.caller.user) and st.toggle("Mine", key="mine", bind="query-params")
    with archived:
        is_archived = st.toggle("Archived", key="archived", bind="query-params")
    tag = st.query_params.get("tag", "")[:40]
    after = st.query_params.get("after", "")[:1000]
    return Wanted(text or "", tag, of_state or "", is_mine, is_archived, after)


def _tags(tags: list[str]) -> None:
    if tags:
        st.pills("Tag", tags, key="tag", bind="query-params", format_func=lambda t: plain(t, 40))


def _page(reader: Reader, project: str, wanted: Wanted) -> StudyRowPage:
    return reader.get(
        f"/projects/{quoted(project)}/study-rows",
        StudyRowPage,
        limit=PAGE,
        after=wanted.after or None,
        search=wanted.search or None,
        tag=wanted.tag or None,
        state=wanted.state or None,
        owner=reader.caller.user if wanted.is_mine else None,
        archived="true" if wanted.is_archived else None,
    )


def _table(reader: Reader, project: str, page: StudyRowPage, *, has_title: bool) -> None:
    if has_title:
        st.subheader(plain(project), anchor=False)
    heads = ("Study", "State", "Best", "Progress", "Trend", "Last event")
    for column, head in zip(st.columns(WIDTHS), heads, strict=True):
        column.caption(f"**{head}**")
    for row in page.rows:
        _row(project, row)
    text = f"{len(page.rows)} of {numbers(page.total, 'study', 'studies')}"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(text, width="content")
        if st.query_params.get("after"):
            st.button("First page", key=f"first {project}", on_click=_turn, args=(project, ""))
        if page.after is not None:
            st.button(
                "Next page", key=f"next {project}", on_click=_turn, args=(project, page.after)
            )


def _turn(project: str, after: str) -> None:
    if after:
        st.query_params[PROJECT] = st.session_state[PROJECT] = project
        st.query_params["after"] = after
    else:
        st.query_params.pop("after", None)


def _row(project: str, row: StudyRow) -> None:
    name, state, best, progress, trend, last = st.columns(WIDTHS, vertical_alignment="center")
    with name:
        link("overview", plain(row.name, 60), **StudyPlace(project, row.id).query)
        about = [f"by {plain(row.owner, 30)}"] if row.owner else []
        about += [f":blue-badge[{plain(t, 40)}]" for t in row.tags[:5]]
        if about:
            st.caption(" ".join(about))
    with state:
        state_pill(StudyState(row.state))
    if row.summary is None:
        best.caption("being computed")
        return
    with best:
        _best(row.summary)
    with progress:
        _progress(row.summary)
    with trend:
        _trend(row.summary)
    with last:
        event = row.summary.last_event
        if event is None:
            st.caption("nothing yet")
        else:
            st.caption(f"{plain(event_sentence(event), 120)} {shown_time(event.at)}")


def _best(summary: StudySummary) -> None:
    if summary.n_front and summary.best is None:
        st.markdown(f"front of {summary.n_front}")
    elif summary.best is None:
        st.caption(f"no {plain(summary.metric, 30)} yet")
    else:
        noise = f" ± {number(summary.noise, 2)}" if summary.noise is not None else ""
        st.markdown(f"**{number(summary.best)}**{noise}")
        st.caption(plain(summary.metric, 30))


def _progress(summary: StudySummary) -> None:
    goal = summary.max_trials
    if goal:
        st.progress(min(summary.shown / goal, 1.0), text=f"{summary.shown:,} of {goal:,}")
    else:
        st.markdown(numbers(summary.shown, "trial"))
    failed = sum(summary.counts.get(s, 0) for s in ("failed", "lost", "diverged"))
    running = summary.counts.get("running", 0)
    facts = [f"{n:,} {word}" for n, word in ((running, "running"), (failed, "failed")) if n]
    if facts:
        st.caption(", ".join(facts))


def _trend(summary: StudySummary) -> None:
    alt = ""
    if summary.trend:
        first, now = number(summary.trend[0]), number(summary.trend[-1])
        alt = f"Best {cut(summary.metric, 40)} so far: {first} at first, {now} now."
    sparkline(summary.trend, alt)


def _nothing(wanted: Wanted, project: str) -> None:
    """Draw what to do where there is no study."""
    if not wanted.is_everything:
        st.info("No study matches.", icon=":material/search_off:")
        return
    st.markdown("There is no study yet. Copy these lines into a file and run it:")
    st.code(TEN_LINES.format(storage=_storage(project)), language="python")


def _storage(project: str) -> str:
    from tunekit_dashboard.cards import service_root

    return f"{service_root()}/{quoted(project)}"


VIEW = GeneralPage("studies", "Studies", ":material/list:", show)
