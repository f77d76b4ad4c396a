import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Connection, func, select, update

from tunekit.errors import RequestConflict
from tunekit.records import ObjectiveSpec, StudySpec
from tunekit.service.app import Service, create_app
from tunekit.service.idempotency import KEPT_S, KeyedRequest, answer_once
from tunekit.storages.sql.database import Database
from tunekit.storages.sql.schema import studies
from tunekit.storages.sql.service_tables import idempotency
from tunekit.storages.sql.sqlite import SQLiteDatabase
from tunekit.storages.sql.storage import SQLStorage
from tunekit.storages.urls import open_storage

STUDIES = "/api/v1/projects/vision/studies"
REQUEST = KeyedRequest("owner", "key", "fingerprint")


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SQLStorage]:
    if request.param == "postgres":
        opened = open_storage(str(request.getfixturevalue("postgres_url")))
    else:
        opened = open_storage(tmp_path / "team.db")
    assert isinstance(opened, SQLStorage)
    opened.create_study(StudySpec("digits", (ObjectiveSpec("loss"),)))
    yield opened
    opened.close()


def _opened(folder: Path) -> SQLStorage:
    return SQLStorage(SQLiteDatabase(folder / "team.db"))


@pytest.fixture
def database(storage: SQLStorage) -> Database:
    return storage.database


def _one_more(connection: Connection) -> str:
    """Count in a cell of the study; return what it counts now."""
    more = update(studies).values(max_retries=studies.c.max_retries + 1)
    return str(connection.execute(more.returning(studies.c.max_retries)).scalar_one())


def test_a_repeated_key_gets_the_first_answer_and_changes_nothing(database: Database) -> None:
    assert answer_once(database, None, _one_more) == "3"
    assert answer_once(database, REQUEST, _one_more) == "4"
    assert answer_once(database, REQUEST, _one_more) == "4"
    other = KeyedRequest("another user", "key", "another request")
    assert answer_once(database, other, _one_more) == "5"


def test_a_key_of_another_request_is_refused_and_changes_nothing(database: Database) -> None:
    answer_once(database, REQUEST, _one_more)
    with pytest.raises(RequestConflict, match="'key' was already sent with another request"):
        answer_once(database, KeyedRequest("owner", "key", "another"), _one_more)
    assert answer_once(database, None, _one_more) == "4"


def test_a_change_that_fails_leaves_its_key_free(database: Database) -> None:
    def fail(connection: Connection) -> str:
        _one_more(connection)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        answer_once(database, REQUEST, fail)
    assert answer_once(database, REQUEST, _one_more) == "3"


def test_a_key_is_free_again_after_a_day(database: Database) -> None:
    assert answer_once(database, REQUEST, _one_more) == "3"
    older = update(idempotency).values(created=idempotency.c.created - KEPT_S - 1)
    database.write(lambda c: c.execute(older))
    assert answer_once(database, REQUEST, _one_more) == "4"
    rows = select(func.count()).select_from(idempotency)
    assert database.read(lambda c: c.execute(rows).scalar()) == 1


def test_requests_with_one_key_at_the_same_time_make_one_change(database: Database) -> None:
    together = threading.Barrier(6)

    def send(_: int) -> str:
        together.wait()
        return answer_once(database, REQUEST, _one_more)

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(send, range(6))) == {"3"}


def test_a_key_sent_with_another_body_answers_422(tmp_path: Path) -> None:
    with TestClient(create_app(Service(_opened(tmp_path)))) as client:
        made = client.post(STUDIES, json={"name": "a", "objectives": [{"metric": "loss"}]}).json()
        for route, name in (("enqueue", "points"), ("add", "trials")):
            url = f"{STUDIES}/{made['id']}/trials:{route}"
            trial = {"number": 0, "state": "complete", "metrics": {"loss": 1.0}, "params": {}}
            items = [{"x": 1}] if name == "points" else [trial]
            key = {"Idempotency-Key": route}
            first = client.post(url, json={name: items}, headers=key)
            assert first.status_code == 200, first.text
            assert client.post(url, json={name: items}, headers=key).json() == first.json()
            other = client.post(url, json={name: [*items, *items]}, headers=key)
            assert (other.status_code, other.json()["code"]) == (422, "TK606")
        assert client.get(f"{STUDIES}/{made['id']}").json()["n_trials"] == 2
