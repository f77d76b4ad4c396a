"""Studies, overview, comparison and administration, with the rights of whoever looks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from streamlit.testing.v1 import AppTest

from tunekit.analysis.charts.time_records import BudgetChart
from tunekit.records import StudyState
from tunekit.service.access.accounts import Accounts
from tunekit.service.access.passwords import Passwords
from tunekit.service.app import Service
from tunekit.storages.events import Event
from tunekit.storages.http.browser import DASHBOARD_SERVICE, DASHBOARD_TOKEN
from tunekit.storages.sql.storage import SQLStorage
from tunekit.storages.urls import open_database
from tunekit.studies import labels
from tunekit.testing.service import running_service
from tunekit.testing.studies import TrialMix, make_study
from tunekit.testing.team import Team
from tunekit_dashboard.cards import root_of
from tunekit_dashboard.sentences import event_sentence
from tunekit_dashboard.views.overview import stop_advice

_SCRIPT = """
from functools import partial
from tunekit_dashboard.cards import forget_cards, guarded
from tunekit_dashboard.client import page_reader
from tunekit_dashboard.views import {view}
forget_cards()
guarded(partial({view}.show, page_reader()))
"""

Opened = Callable[..., AppTest]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Service:
    folder: Path = tmp_path_factory.mktemp("general")
    storage = SQLStorage(open_database(f"sqlite:///{folder}/team.db"))
    cheap = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    return Service(storage, accounts=Accounts(storage.database, cheap))


@pytest.fixture(scope="module")
def opened(service: Service) -> Iterator[Opened]:
    team = Team(service.accounts)
    team.user("root", is_operator=True, may_create=True)
    for project in ("vision", "speech", "empty"):
        team.project(project)
    team.member("vera", "vision", "viewer")
    team.member("adam", "vision", "admin")
    team.member("nina", "empty", "editor")
    team.accounts.projects.set_role("speech", "adam", "viewer")
    storage = service.of_project("vision")
    first = make_study(storage, "first", TrialMix(30))
    labels.set_tags(storage, first.id, ["baseline"])
    make_study(storage, "second *x*", TrialMix(20, seed=5), attrs={})
    make_study(service.of_project("speech"), "hidden from vera", TrialMix(3))
    tokens = {name: team.token(name) for name in ("root", "vera", "adam", "nina")}
    with running_service(service) as url:

        def open_page(
            view: str, who: str, between: Callable[[], object] | None = None, **query: str
        ) -> AppTest:
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv(DASHBOARD_SERVICE, url)
                patch.setenv(DASHBOARD_TOKEN, tokens[who])
                test = AppTest.from_string(_SCRIPT.format(view=view), default_timeout=120)
                for name, value in query.items():
                    test.query_params[name] = value
                test.run()
                if between is not None:
                    between()
                    test.run()
                return test

        yield open_page


def text_of(test: AppTest) -> str:
    parts = [*test.markdown, *test.caption, *test.info, *test.warning, *test.error, *test.code,
             *test.subheader]  # fmt: skip
    return "\n".join(str(p.value) for p in parts).replace("\\", "")


def test_the_list_shows_what_the_caller_may_see_and_searches_it(opened: Opened) -> None:
    seen = text_of(opened("studies", "vera"))
    assert "2 of 2 studies" in seen and "baseline" in seen and "hidden" not in seen
    assert "1 of 1 study" in text_of(opened("studies", "vera", q="FIRST"))
    assert "1 of 1 study" in text_of(opened("studies", "vera", tag="baseline"))
    assert "No study matches." in text_of(opened("studies", "vera", q="nothing like it"))
    assert "No study matches." in text_of(opened("studies", "vera", archived="true"))
    assert "No study matches." in text_of(opened("studies", "vera", mine="true"))


def test_without_a_study_the_list_shows_ten_lines_to_copy(opened: Opened) -> None:
    (code,) = opened("studies", "nina").code
    assert len(code.value.strip().splitlines()) == 10
    compile(code.value, "ten lines", "exec")


def test_two_studies_are_compared_by_their_ids_in_the_address(opened: Opened) -> None:
    test = opened("compare", "vera", studies="1,2")
    results, differences = (d.value for d in test.dataframe)
    assert list(results["Study"]) == ["first", "second *x*"]
    assert list(differences["Setting"]) == ["seed"]
    assert "expected a number" in text_of(opened("compare", "vera", studies="x,1"))
    assert "There is no study 99" in text_of(opened("compare", "vera", studies="1,99"))
    assert "There is no study 3" in text_of(opened("compare", "vera", studies="1,3"))


@pytest.mark.parametrize(
    ("who", "tabs"),
    [
        ("vera", ["My tokens", "People of the project", "Quotas"]),
        ("adam", ["My tokens", "People of the project", "Quotas"]),
        ("root", ["My tokens", "People of the project", "Tokens of machines", "Users", "Quotas",
                  "Audit log"]),
    ],
)  # fmt: skip
def test_admin_shows_the_parts_for_the_callers_rights(
    opened: Opened, who: str, tabs: list[str]
) -> None:
    test = opened("admin", who, **({"project": "speech"} if who == "adam" else {}))
    assert [t.label for t in test.tabs] == tabs
    assert not test.error and not test.exception


def test_an_admin_gives_a_role_and_the_audit_log_says_so(service: Service, opened: Opened) -> None:
    test = opened("admin", "adam", project="vision")
    assert "Audit log" in [t.label for t in test.tabs]
    entries = [d.value for d in test.dataframe]
    assert len(entries) == 1 and "Action" in entries[0]


def test_a_role_that_somebody_else_changes_is_shown_and_not_put_back(
    service: Service, opened: Opened
) -> None:
    assert service.accounts is not None
    change = partial(service.accounts.projects.set_role, "speech", "adam")
    try:
        test = opened("admin", "root", partial(change, "editor"), project="speech")
        assert [b.value for b in test.selectbox if b.label == "Role of adam"] == ["editor"]
        members = {m.user: m.role for m in service.accounts.projects.members("speech", "", 9)}
        assert members["adam"] == "editor"
    finally:
        change("viewer")


def test_advice_to_stop_needs_trials_an_active_study_and_a_long_quiet() -> None:
    def chart(ended: int, since: int, goal: int | None = None) -> BudgetChart:
        return BudgetChart(
            1, 1, 1, "error", goal, (0.0,), (ended,), (0.1,), ended - since - 1, since
        )

    active = StudyState.ACTIVE
    assert stop_advice(chart(100, 70, 200), active) == (
        "Stop now: the last 70 of 100 trials brought nothing better than trial 29. 100 trials "
        "are left."
    )
    assert stop_advice(chart(100, 70, 200), StudyState.STOPPED) == ""
    assert stop_advice(chart(100, 49), active) == ""
    assert stop_advice(chart(19, 18), active) == ""


@pytest.mark.parametrize(
    ("event", "says"),
    [
        (Event(1, "told", 3, 0.0, {"state": "stopped"}), "Trial 3 was stopped early."),
        (Event(1, "told", 3, 0.0, {}), "Trial 3 has ended."),
        (Event(1, "study", None, 0.0, {"state": "paused"}),
         "The study was paused: no trial starts."),
        (Event(1, "study", None, 0.0, {"goal": True}), "The goal of the study was changed."),
        (Event(1, "space", None, 0.0, {"version": 2}), "The space got version 2."),
        (Event(1, "claimed", 0, 0.0), "Trial 0 was taken by a worker."),
    ],
)  # fmt: skip
def test_an_event_is_a_sentence(event: Event, says: str) -> None:
    assert event_sentence(event) == says


def test_the_root_of_the_service_is_what_comes_before_its_pages() -> None:
    assert root_of("https://host/a/b/dashboard/overview?study=1") == "https://host/a/b"
    assert root_of("http://127.0.0.1:80/dashboard/") == "http://127.0.0.1:80"
