import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import Request

from tunekit.errors import NotAuthenticated
from tunekit.records import ObjectiveSpec, StudySpec
from tunekit.service import event_hub
from tunekit.service.access.gate import OpenGate, Principal
from tunekit.service.access.roles import Role
from tunekit.service.app import Service
from tunekit.service.event_hub import MAX_STREAMS, EventHub
from tunekit.service.routes import event_stream
from tunekit.storages.project import ProjectStorage
from tunekit.storages.sql.storage import SQLStorage
from tunekit.storages.urls import open_database
from tunekit.testing.service import running_service

Message = dict[str, str]


class Team:
    """A service, and its storage as another process of the service sees it."""

    def __init__(self, url: str, database: str) -> None:
        self.http = httpx2.Client(base_url=f"{url}/api/v1/projects/vision/studies", timeout=30)
        self.elsewhere = ProjectStorage(SQLStorage(open_database(database)), "vision")
        self.study = self.elsewhere.create_study(StudySpec("digits", (ObjectiveSpec("loss"),))).id

    def enqueue(self) -> None:
        body = {"points": [{"x": 1}]}
        self.http.post(f"/{self.study}/trials:enqueue", json=body).raise_for_status()

    @contextmanager
    def stream(self, after: int = 0, last: str | None = None) -> Iterator[Iterator[Message]]:
        headers = {} if last is None else {"Last-Event-ID": last}
        path = f"/{self.study}/events:stream"
        with self.http.stream("GET", path, params={"after": after}, headers=headers) as answer:
            answer.raise_for_status()
            assert answer.headers["content-type"].startswith("text/event-stream")
            yield _messages(answer)


def _messages(answer: httpx2.Response) -> Iterator[Message]:
    message: Message = {}
    for line in answer.iter_lines():
        if not line and message:
            yield message
            message = {}
        elif line and not line.startswith(":"):
            field, _, value = line.partition(": ")
            message[field] = value


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{tmp_path}/team.db"


@pytest.fixture
def team(database: str) -> Iterator[Team]:
    with running_service(Service(SQLStorage(open_database(database)))) as url:
        team = Team(url, database)
        yield team
        team.http.close()
        team.elsewhere.close()


def test_a_client_that_reconnects_misses_nothing_and_gets_nothing_twice(team: Team) -> None:
    for _ in range(3):
        team.enqueue()
    with team.stream() as messages:
        seen = [next(messages) for _ in range(3)]
    for _ in range(2):
        team.enqueue()  # while nobody listens
    with team.stream(after=0, last=seen[-1]["id"]) as messages:
        seen += [next(messages) for _ in range(2)]
        team.enqueue()
        seen.append(next(messages))
    assert [m["id"] for m in seen] == ["1", "2", "3", "4", "5", "6"]
    assert {m["event"] for m in seen} == {"enqueued"}
    listed = team.http.get(f"/{team.study}/events").json()["events"]
    assert [json.loads(m["data"]) for m in seen] == listed


def test_what_another_process_writes_is_streamed_too(team: Team) -> None:
    with team.stream() as messages:
        team.elsewhere.enqueue(team.study, [{"x": 1}], user_attrs={})
        assert next(messages)["id"] == "1"
        team.elsewhere.set_attrs(team.study, {"a": 1})
        assert next(messages)["event"] == "attrs"


def test_a_change_by_a_request_wakes_the_stream_before_the_next_poll(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_hub, "POLL_S", 3600.0)
    with team.stream() as messages:
        for seq in ("1", "2", "3"):
            team.enqueue()
            assert next(messages)["id"] == seq


def test_a_stream_ends_when_its_study_is_deleted(team: Team) -> None:
    team.enqueue()
    with team.stream() as messages:
        assert next(messages)["id"] == "1"
        team.elsewhere.delete_study("digits")
        assert list(messages) == []
    answer = team.http.get(f"/{team.study}/events:stream")
    assert (answer.status_code, answer.json()["code"]) == (404, "TK301")


def test_streams_end_when_the_service_stops(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/team.db"
    service = Service(SQLStorage(open_database(database)))
    ended: list[list[Message]] = []
    with running_service(service) as url:
        team = Team(url, database)
        is_open = threading.Event()

        def listen() -> None:
            with team.stream() as messages:
                is_open.set()
                ended.append(list(messages))

        thread = threading.Thread(target=listen)
        thread.start()
        is_open.wait()
    thread.join()
    team.http.close()
    team.elsewhere.close()
    assert ended == [[]]


def test_a_caller_has_a_bounded_number_of_streams(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_hub, "MAX_STREAMS", 2)
    team.enqueue()
    with team.stream() as first, team.stream() as second:
        assert next(first)["id"] == next(second)["id"] == "1"
        refused = team.http.get(f"/{team.study}/events:stream")
        assert (refused.status_code, refused.json()["code"]) == (429, "TK604")


def test_a_stream_that_ends_makes_room_for_another_one_and_is_not_watched() -> None:
    looks: list[int] = []

    async def many() -> None:
        hub = EventHub(lambda study_id: looks.append(study_id) or len(looks))
        for _ in range(3 * MAX_STREAMS):
            with hub.stream(7, "anna"):
                assert await hub.later_than(7, 0, timeout_s=60.0)
        n_looks = len(looks)
        hub.wake(7)
        with hub.stream(8, "anna"):
            assert await hub.later_than(8, 0, timeout_s=60.0)
        assert looks[n_looks:].count(7) == 0

    asyncio.run(many())


@pytest.mark.parametrize("given", ["x", "-1", "1.5", "9" * 19])
def test_an_id_that_no_event_has_is_refused(team: Team, given: str) -> None:
    answer: Any = team.http.get(f"/{team.study}/events:stream", headers={"Last-Event-ID": given})
    assert (answer.status_code, answer.json()["code"]) == (422, "TK104")


class Closing(OpenGate):
    """Admits everybody until it is closed, as a gate does whose token is revoked."""

    is_closed = False

    async def admit(self, request: Request, role: Role, project: str | None) -> Principal:
        if self.is_closed:
            raise NotAuthenticated("the token was revoked.")
        return await super().admit(request, role, project)


def test_a_stream_ends_when_its_caller_may_no_longer_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "ADMISSION_S", 0.05)
    database = f"sqlite:///{tmp_path}/team.db"
    gate = Closing()
    with running_service(Service(SQLStorage(open_database(database)), gate=gate)) as url:
        team = Team(url, database)
        team.enqueue()
        with team.stream() as messages:
            assert next(messages)["id"] == "1"
            gate.is_closed = True
            assert list(messages) == []
        team.http.close()
        team.elsewhere.close()
