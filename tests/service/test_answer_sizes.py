import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tunekit.records import ObjectiveSpec, Report, StudySpec, TrialRecord, TrialState
from tunekit.service import answers
from tunekit.service.app import Service, create_app
from tunekit.spaces import Params
from tunekit.storages.http.messages import MAX_ANSWER_BYTES
from tunekit.storages.project import ProjectStorage
from tunekit.storages.sql.sqlite import SQLiteDatabase
from tunekit.storages.sql.storage import SQLStorage
from tunekit.storages.urls import open_storage
from tunekit.testing.service import running_service

STUDIES = "/api/v1/projects/vision/studies"


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[SQLStorage]:
    storage = SQLStorage(SQLiteDatabase(tmp_path / "team.db"))
    yield storage
    storage.close()


def _ended(number: int, **more: Any) -> TrialRecord:
    params = Params({"x": number})
    return TrialRecord(number, TrialState.COMPLETE, params=params, metrics={"loss": 1.0}, **more)


def _study(storage: SQLStorage, trials: list[TrialRecord], n_reports: int) -> int:
    ours = ProjectStorage(storage, "vision")
    study = ours.create_study(StudySpec("digits", (ObjectiveSpec("loss"),)))
    reports = {
        t.number: [Report(s, {"loss": 1.0 / (s + 1)}) for s in range(n_reports)] for t in trials
    }
    ours.add_trials(study.id, trials, reports)
    return study.id


def test_each_record_of_an_answer_is_encoded_once(
    storage: SQLStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = _study(storage, [_ended(n) for n in range(30)], n_reports=7)
    encoded: Counter[str] = Counter()
    to_dict = answers.to_dict

    def counted(record: Any) -> dict[str, Any]:
        encoded[type(record).__name__] += 1
        return to_dict(record)

    monkeypatch.setattr(answers, "to_dict", counted)
    with TestClient(create_app(Service(storage))) as client:
        client.get(STUDIES)
        client.get(f"{STUDIES}/{study}/trials")
        client.get(f"{STUDIES}/{study}/events")
        client.post(f"{STUDIES}/{study}/reports:read", json={"every": True})
        body = {"worker": "w", "after": 0}
        client.post(f"{STUDIES}/{study}/trials:exchange", json=body)
    assert encoded == {"StudyRecord": 1, "TrialRecord": 60, "Event": 30, "Report": 210}


def test_a_record_longer_than_an_answer_may_be_comes_alone_and_the_reader_gets_past_it(
    storage: SQLStorage,
) -> None:
    huge = {"log": "x" * (MAX_ANSWER_BYTES + 1)}
    trials = [_ended(n, user_attrs=huge if n % 5 == 0 else {}) for n in range(20)]
    study = _study(storage, trials, n_reports=0)
    with running_service(Service(storage)) as url:
        client = open_storage(f"{url}/vision")
        assert [t.number for t in client.changes(study).trials] == list(range(20))
        client.close()
    with TestClient(create_app(Service(storage))) as http:
        cursor, more = 0, True
        while more:
            answer = http.get(f"{STUDIES}/{study}/trials", params={"after": cursor})
            doc = answer.json()
            is_alone = len(doc["trials"]) == 1 and len(answer.content) < 1.1 * MAX_ANSWER_BYTES
            assert is_alone or len(answer.content) <= MAX_ANSWER_BYTES
            cursor, more = doc["cursor"], doc["more"]


def test_text_that_looks_like_json_stays_text(storage: SQLStorage) -> None:
    text = json.dumps(["items", {"a": "\N{GRINNING FACE}"}])
    study = _study(storage, [_ended(0, user_attrs={"a": text})], n_reports=0)
    with TestClient(create_app(Service(storage))) as client:
        page = client.get(f"{STUDIES}/{study}/trials").json()
    assert page["trials"][0]["user_attrs"] == {"a": text}


def test_a_page_of_long_trials_reads_about_as_many_as_it_holds(
    storage: SQLStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = [_ended(n, user_attrs={"log": "x" * 20_000}) for n in range(300)]
    study = _study(storage, trials, n_reports=0)
    read: list[int] = []
    changes = SQLStorage.changes

    def counted(self: SQLStorage, *args: Any) -> Any:
        found = changes(self, *args)
        read.append(len(found.trials))
        return found

    monkeypatch.setattr(SQLStorage, "changes", counted)
    monkeypatch.setattr(ProjectStorage, "changes", lambda self, *args: storage.changes(*args))
    with TestClient(create_app(Service(storage))) as client:
        page = client.get(f"{STUDIES}/{study}/trials").json()
        assert (len(page["trials"]), sum(read)) == (9, 64)
        page = client.get(f"{STUDIES}/{study}/trials", params={"limit": 1000}).json()
    assert page["more"] is True
