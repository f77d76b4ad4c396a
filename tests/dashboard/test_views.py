"""Pages of a study show what a real service knows, and change it with the caller's rights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from tests.analysis.seeded_studies import at_a_boundary
from tests.dbms.test_report import tuned as tuned_knobs
from tests.scaling.sweeps import rows
from tests.scaling.test_law_chart import SPACE as SWEEP
from tests.scaling.test_law_chart import history_of
from tunekit.analysis.charts.knobs import MARK
from tunekit.records import (
    Checkpoint,
    MetricConstraint,
    ObjectiveSpec,
    Report,
    StudySpec,
    TrialRecord,
    TrialState,
)
from tunekit.service.app import Service
from tunekit.spaces import Categorical, Float, Params, Space
from tunekit.storages.http.browser import DASHBOARD_SERVICE
from tunekit.storages.project import ProjectStorage
from tunekit.storages.sql.storage import SQLStorage
from tunekit.storages.urls import open_database
from tunekit.testing.service import running_service
from tunekit_dashboard.texts import plain

EVIL = "<img src=x onerror=alert(1)> *b* :red[x] " + "x" * 300
NAME = "lr <b>:red[x]"
SPACE = Space(
    {
        "model": Categorical({"rbf": {"gamma": Float(1e-4, 1.0, log=True)}, "linear": {}}),
        "c": Float(0.1, 10.0),
    }
)
STATES = (TrialState.STOPPED, TrialState.FAILED, TrialState.WAITING)

_SCRIPT = """
from functools import partial
import streamlit as st
from tunekit_dashboard.cards import guarded
from tunekit_dashboard.client import page_reader
from tunekit_dashboard.actions.study_actions import study_actions
from tunekit_dashboard.frame import draw_filters, draw_header, study_frame
from tunekit_dashboard.navigation import remember_pages
from tunekit_dashboard.places import place_in
from tunekit_dashboard.views import GENERAL_VIEWS, STUDY_VIEWS

def draw(view):
    place = place_in(st.query_params.to_dict())
    study = study_frame(page_reader(place), place)
    with st.sidebar:
        draw_filters(study)
    draw_header(study, study_actions)
    view.show(study)

def nothing():
    pass

pages = {v.url: st.Page(nothing, title=v.title, url_path=v.url) for v in GENERAL_VIEWS}
for v in STUDY_VIEWS:
    shown = partial(guarded, partial(draw, v))
    pages[v.url] = st.Page(shown, title=v.title, url_path=v.url, default=v.url == "URL")
remember_pages(pages)
st.navigation(list(pages.values()), position="hidden").run()
"""

Opened = Callable[..., AppTest]


def _trial(n: int) -> tuple[TrialRecord, list[Report]]:
    c = 0.2 + (n * 7 % 29) / 3
    point: dict[str, Any] = {"model": "linear", "c": c}
    if n % 3:
        point = {"model": "rbf", "model.rbf.gamma": 10.0 ** -(n % 4), "c": c}
    loss = (c - 3.0) ** 2 + n % 3
    trial = TrialRecord(
        n, TrialState.COMPLETE, params=Params(point), metrics={"loss": loss},
        sampler="mcts", reason="tree search liked the branch", worker=f"host-{n % 2}",
        created=1.7e9 + 10 * n, started=1.7e9 + 10 * n, finished=1.7e9 + 10 * n + 8,
    )  # fmt: skip
    curve = [Report(s, {"loss": loss + 8.0 / s}) for s in range(1, 11)]
    return trial, curve


class Studies:
    """The studies of a service with accounts switched off."""

    def __init__(self, storage: SQLStorage) -> None:
        self.storage = ProjectStorage(storage, "default")

    def new(self, name: str, n: int = 40, **spec: Any) -> int:
        """Store a study with complete, stopped, audited and failed trials."""
        given = {"space": SPACE, "sampler": "mcts", "stopper": "asha"} | spec
        made = StudySpec(name, given.pop("objectives", (ObjectiveSpec("loss"),)), **given)
        study_id = self.storage.create_study(made).id
        pairs = [_ended(*_trial(i)) for i in range(n)]
        reports = {t.number: curve for t, curve in pairs}
        self.storage.add_trials(study_id, [t for t, _ in pairs], reports)
        return study_id


def _ended(trial: TrialRecord, curve: list[Report]) -> tuple[TrialRecord, list[Report]]:
    n = trial.number
    if n % 10 == 7:
        evidence = {"stopper": "asha", "predicted": 9.0, "step": 4, "metric": "loss"}
        stopped = replace(
            trial, state=TrialState.STOPPED, metrics={}, end_reason="worse than two thirds",
            stop_evidence=evidence,
        )  # fmt: skip
        return stopped, curve[:4]
    if n % 10 == 8:
        evidence = {"audit": {"stopper": "asha", "predicted": 9.0, "step": 4, "metric": "loss"}}
        return replace(trial, stop_evidence=evidence), curve
    if n % 10 == 9:
        error = "Traceback\n" + "x" * 50_000 + "\nRuntimeError: <b>out of memory</b>"
        failed = replace(
            trial, state=TrialState.FAILED, metrics={}, error=error,
            end_reason="RuntimeError: <b>out of memory</b>",
        )  # fmt: skip
        return failed, []
    if n % 10 == 5:
        return replace(trial, checkpoints=(Checkpoint(10, 1),)), curve
    return trial, curve


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Studies]]:
    folder: Path = tmp_path_factory.mktemp("views")
    url = f"sqlite:///{folder}/team.db"
    storage = SQLStorage(open_database(url))
    with running_service(Service(storage, url=url)) as address:
        yield address, Studies(storage)


@pytest.fixture
def studies(service: tuple[str, Studies]) -> Studies:
    return service[1]


@pytest.fixture(scope="module")
def study_id(service: tuple[str, Studies]) -> int:
    return service[1].new("digits")


@pytest.fixture
def opened(service: tuple[str, Studies], monkeypatch: pytest.MonkeyPatch) -> Opened:
    monkeypatch.setenv(DASHBOARD_SERVICE, service[0])

    def run(url: str, study: int, **query: str) -> AppTest:
        page = AppTest.from_string(_SCRIPT.replace("URL", url), default_timeout=60)
        for name, value in {"project": "default", "study": str(study), **query}.items():
            page.query_params[name] = value
        return page.run()

    return run


def _texts(page: AppTest) -> str:
    kinds = (page.markdown, page.caption, page.info, page.subheader, page.error)
    return "\n".join(str(e.value) for kind in kinds for e in kind)


def _works(page: AppTest) -> None:
    assert not page.exception
    assert "failed" not in [str(e.value) for e in page.markdown if "####" in str(e.value)]
    assert "This page failed" not in _texts(page)


VIEWS = [
    "progress", "tree", "parameters", "trials", "trial", "stops", "tradeoffs", "workers", "space",
    "proposers",
]  # fmt: skip


def test_the_law_of_a_sweep_is_drawn_and_missing_runs_are_told(
    opened: Opened, studies: Studies
) -> None:
    history = history_of(rows())
    study_id = studies.new("sweep", 0, space=SWEEP)
    studies.storage.add_trials(study_id, [replace(t, seq=0) for t in history], {})
    page = opened("law", study_id)
    _works(page)
    assert "Optimum of each cell and the law" in _texts(page)
    empty = opened("law", studies.new("no sweep yet", 0, space=SWEEP))
    _works(empty)
    assert "No law yet" in _texts(empty)


def test_tuned_knobs_are_shown_with_their_verdict_and_the_way_back(
    opened: Opened, studies: Studies, tmp_path: Path
) -> None:
    found = tuned_knobs(tmp_path, gain=True).study
    record = found.record()
    study_id = studies.new(
        "knobs", 0, space=record.spec.space, objectives=record.spec.objectives, attrs=MARK
    )
    waiting = opened("knobs", study_id)
    _works(waiting)
    assert "No verdict yet" in _texts(waiting)
    studies.storage.add_trials(study_id, [replace(t, seq=0) for t in found.trials], {})
    studies.storage.set_attrs(study_id, {"knobs": record.spec.attrs["knobs"]})
    page = opened("knobs", study_id)
    _works(page)
    assert "times as fast as before" in page.success[0].value
    assert "tunekit knobs rollback" in "".join(code.value for code in page.code)
    tables = [list(frame.value.columns) for frame in page.dataframe]
    assert ["measure", "before", "after"] in tables
    assert any("risk" in columns for columns in tables)
    assert any("kind" in columns for columns in tables)


@pytest.mark.parametrize("url", VIEWS)
def test_every_page_of_a_study_is_drawn(opened: Opened, study_id: int, url: str) -> None:
    _works(opened(url, study_id, trial="3"))


@pytest.mark.parametrize("tab", ["Importance", "Slices", "Contour", "Parallel"])
@pytest.mark.parametrize("n", [0, 1, 40])
def test_every_tab_of_the_parameters_is_drawn_and_stands_in_the_address(
    opened: Opened, studies: Studies, study_id: int, tab: str, n: int
) -> None:
    study = study_id if n == 40 else studies.new(f"tabs {tab} {n}", n)
    page = opened("parameters", study, tab=tab)
    _works(page)
    assert page.button_group[0].value == tab.lower()


def test_the_chosen_parameters_stand_in_the_address(opened: Opened, study_id: int) -> None:
    page = opened("parameters", study_id, tab="Parallel", paths="c")
    _works(page)
    assert page.multiselect(key="paths").value == ["c"]
    page = opened("parameters", study_id, tab="Contour", pair="no.such.parameter")
    _works(page)
    assert page.multiselect(key="pair").value == []


@pytest.mark.parametrize("url", VIEWS)
@pytest.mark.parametrize("n", [0, 1])
def test_a_study_with_no_or_one_trial_has_a_sentence_on_each_page(
    opened: Opened, studies: Studies, url: str, n: int, request: pytest.FixtureRequest
) -> None:
    study = studies.new(f"small {url} {n}", n)
    page = opened(url, study, trial="0")
    _works(page)
    assert _texts(page).strip()


@pytest.mark.parametrize("url", VIEWS)
def test_nothing_that_a_user_typed_is_markup_on_a_page(
    opened: Opened, studies: Studies, url: str
) -> None:
    objectives = (ObjectiveSpec(EVIL), ObjectiveSpec("b" + EVIL))
    study = studies.new(
        f"evil {url}", 0, objectives=objectives, constraints=(MetricConstraint(EVIL, "<=", 3.0),),
        space=Space({NAME: Float(0.0, 1.0)}), stopper="",
    )  # fmt: skip
    metrics = {EVIL: 1e300, "b" + EVIL: 2.0}
    trials = [
        TrialRecord(
            n, TrialState.COMPLETE, params=Params({NAME: 0.5}), metrics=metrics,
            reason=EVIL, worker=EVIL, end_reason=EVIL, error=EVIL, user_attrs={EVIL: EVIL},
            started=1.7e9, finished=1.7e9 + 5,
        )
        for n in range(3)
    ]  # fmt: skip
    studies.storage.add_trials(study, trials, {0: [Report(1, metrics)]})
    page = opened(url, study, trial="1")
    _works(page)
    for element in page.markdown:
        assert not element.allow_html
        # Streamlit would read these as markup, were they not escaped.
        assert "<img" not in str(element.value).replace("\\<", "")
        assert ":red[" not in str(element.value)


def _advised(n: int, text: str) -> TrialRecord:
    """Return a trial with advice of a language model, all of whose texts are `text`."""
    point = {"model": "linear", "c": 3.0 + 1.0 / (n + 1)}
    advice = {
        "points": [point], "filled": [[]], "rationale": text, "prompt": text, "reply": text,
        "model": text, "tokens": 1200, "dollars": 0.25, "seconds": 2.0, "problems": [text],
    }  # fmt: skip
    return TrialRecord(
        n, TrialState.COMPLETE, params=Params(point), metrics={"loss": 1.0 / (n + 1)},
        sampler="llm" if n % 2 else "bayesian", evidence={"llm": {"advice": advice, "of": 1}},
    )  # fmt: skip


def test_the_proposers_show_rates_costs_and_the_stored_texts_as_they_are(
    opened: Opened, studies: Studies
) -> None:
    study = studies.new("advised", 0, sampler="llm")
    studies.storage.add_trials(study, [_advised(n, f"{EVIL} no. {n}") for n in range(4)], {})
    page = opened("proposers", study)
    _works(page)
    rate, cost, calls = page.metric
    assert (rate.value, cost.value, calls.value) == ("100%", "$1.0000", "4")
    assert list(page.dataframe[0].value["proposer"]) == ["llm", "bayesian"]
    assert [c.value for c in page.code][:3] == [f"{EVIL} no. 3"] * 3  # rationale, prompt, reply
    older = opened("proposers", study, trial="1")
    assert [c.value for c in older.code][:3] == [f"{EVIL} no. 1"] * 3
    for element in [*page.markdown, *page.caption, *page.warning]:
        assert "<img" not in str(element.value).replace("\\<", "")
        assert ":red[" not in str(element.value)


def test_the_proposers_of_a_study_without_a_language_model_are_compared_too(
    opened: Opened, studies: Studies, study_id: int
) -> None:
    page = opened("proposers", study_id)
    _works(page)
    (shown,) = page.dataframe
    assert list(shown.value["proposer"]) == ["mcts"]
    assert "No language model has been asked" in _texts(page)


@pytest.mark.parametrize(
    "query",
    [
        {"branch": "model"},
        {"state": "gone,complete"},
        {"low": "nan", "high": "1e999"},
        {"metric": "<b>"},
        {"page": "-3", "sort": "'; drop", "order": "x", "tab": "none", "form": "none"},
        {"page": "999999999"},
        {"trial": "999"},
    ],
)
@pytest.mark.parametrize("url", ["progress", "tree", "parameters", "trials", "trial"])
def test_hand_made_addresses_give_a_page(
    opened: Opened, study_id: int, url: str, query: dict[str, str]
) -> None:
    _works(opened(url, study_id, **{"trial": "3", **query}))


def test_the_space_says_what_the_health_check_finds_at_a_bound(
    opened: Opened, studies: Studies
) -> None:
    seeded = at_a_boundary(1)
    study = studies.storage.create_study(seeded.spec).id
    studies.storage.add_trials(study, seeded.trials, {})
    finding = seeded.health()["boundary"]
    page = opened("space", study)
    _works(page)
    assert [w.value for w in page.warning] == [plain(f"{finding.text} {finding.advice}", 900)]
    page.button(key="widen").click().run()
    assert page.selectbox(key="widen path").value == finding.paths[0] == "lr"


@pytest.mark.parametrize("trial", ["abc", "-1", "9" * 30, "<b>"])
def test_a_trial_that_cannot_be_is_told_in_a_sentence(
    opened: Opened, study_id: int, trial: str
) -> None:
    page = opened("trial", study_id, trial=trial)
    _works(page)
    assert "expected a number" in _texts(page)


def test_a_study_that_was_deleted_meanwhile_is_told_in_a_sentence(
    opened: Opened, studies: Studies
) -> None:
    study = studies.new("to be deleted", 3)
    page = opened("trials", study)
    studies.storage.delete_study("to be deleted")
    page.run()
    _works(page)
    assert "deleted" in _texts(page)
