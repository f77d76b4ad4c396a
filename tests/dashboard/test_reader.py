"""The one reader of the service: what it keeps, for whom, and how long."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tunekit.analysis.charts.study_records import StudySummary
from tunekit.errors import NotAuthenticated, StorageUnreachable, UnknownProject, UnknownStudy
from tunekit.records import ObjectiveSpec, StudySpec
from tunekit.service.access.accounts import Accounts
from tunekit.service.app import Service
from tunekit.storages.http.connection import Connection
from tunekit.storages.sql.storage import SQLStorage
from tunekit.storages.urls import open_database
from tunekit.testing.service import running_service
from tunekit.testing.studies import SPACE
from tunekit.testing.team import Team, bearer
from tunekit_dashboard.answers import AnswerCache, KeptAnswer
from tunekit_dashboard.client import Reader
from tunekit_dashboard.identity import Identity, identity_of
from tunekit_dashboard.places import StudyPlace


@pytest.fixture
def service(tmp_path: Path) -> Service:
    storage = SQLStorage(open_database(f"sqlite:///{tmp_path}/team.db"))
    return Service(storage, accounts=Accounts(storage.database))


@pytest.fixture
def team(service: Service) -> Team:
    team = Team(service.accounts)
    team.project("vision")
    team.member("ann", "vision", "viewer")
    team.user("eve")
    return team


@pytest.fixture
def url(service: Service, team: Team) -> Iterator[str]:
    with running_service(service) as url:
        yield url


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of all requests that reach the network."""
    paths: list[str] = []
    request = Connection.request

    def counted(self, method, path, *args, **kwargs):
        paths.append(path)
        return request(self, method, path, *args, **kwargs)

    monkeypatch.setattr(Connection, "request", counted)
    return paths


def study_of(service: Service) -> StudyPlace:
    spec = StudySpec("s", (ObjectiveSpec("error"),), space=SPACE)
    return StudyPlace("vision", service.of_project("vision").create_study(spec).id)


def summary(reader: Reader, place: StudyPlace) -> StudySummary:
    return reader.of_study(place, "/charts/summary", StudySummary)


def test_two_users_never_share_an_answer(service: Service, team: Team, url: str) -> None:
    place, cache = study_of(service), AnswerCache()
    ann, eve = (Identity(bearer(team.token(name)), name) for name in ("ann", "eve"))
    assert summary(Reader(url, ann, cache), place).total == 0
    for _ in range(2):
        with pytest.raises(UnknownProject):
            summary(Reader(url, eve, cache), place)
    with pytest.raises(NotAuthenticated):
        summary(Reader(url, Identity(), cache), place)


def test_a_right_that_is_taken_away_ends_what_was_kept(
    service: Service, team: Team, url: str
) -> None:
    place, cache = study_of(service), AnswerCache()
    ann = Identity(bearer(team.token("ann")), "ann")
    first = Reader(url, ann, cache)
    summary(first, place)
    team.accounts.projects.remove("vision", "ann")
    with pytest.raises(UnknownProject):
        summary(Reader(url, ann, cache), place)
    team.accounts.projects.set_role("vision", "ann", "editor")
    again = Reader(url, ann, cache)
    assert again.revision != first.revision and summary(again, place).total == 0


def test_a_study_that_stands_still_is_not_read_again(
    service: Service, team: Team, url: str, asked: list[str]
) -> None:
    place, cache = study_of(service), AnswerCache()
    ann = Identity(bearer(team.token("ann")), "ann")
    before = summary(Reader(url, ann, cache), place)
    asked.clear()
    assert summary(Reader(url, ann, cache), place) is before
    assert not [p for p in asked if "/charts/" in p]
    service.storage.enqueue(place.study_id, [{}], user_attrs={})
    assert summary(Reader(url, ann, cache), place).total == 1
    assert len([p for p in asked if "/charts/" in p]) == 1


def test_a_study_that_is_deleted_while_its_page_is_open_is_said_to_be_gone(
    service: Service, team: Team, url: str
) -> None:
    place, cache = study_of(service), AnswerCache()
    ann = Identity(bearer(team.token("ann")), "ann")
    summary(Reader(url, ann, cache), place)
    service.of_project("vision").delete_study("s")
    with pytest.raises(UnknownStudy):
        summary(Reader(url, ann, cache), place)


def test_a_service_that_is_away_is_an_error_and_not_a_wait() -> None:
    with pytest.raises(StorageUnreachable):
        Reader("http://127.0.0.1:9", Identity(), AnswerCache()).study(StudyPlace("p", 1))


def test_kept_answers_stay_within_their_bytes_and_the_last_used_stays() -> None:
    cache = AnswerCache(max_bytes=100)
    for name in ("a", "b"):
        cache.keep((name,), KeptAnswer(name, "", 1, 40))
    assert cache.find(("a",)) is not None
    cache.keep(("c",), KeptAnswer("c", "", 1, 40))
    assert len(cache) == 2 and cache.find(("b",)) is None
    cache.keep(("a",), KeptAnswer("a2", "", 2, 90))
    assert len(cache) == 1


def test_a_cookie_with_a_line_break_adds_no_header() -> None:
    assert identity_of({"tunekit_session": "x\r\nX-Share-Link: y"}).headers == {}
    shared = identity_of({"tunekit_share_ab": "secret"}, share="ab")
    assert shared.headers == {"X-Share-Link": "secret"}
    assert shared.digest != identity_of({}).digest and "secret" not in repr(shared)
