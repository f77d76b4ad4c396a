from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tunekit.records import ObjectiveSpec, StudySpec, TrialRecord, TrialState
from tunekit.service.app import Service, create_app
from tunekit.spaces import Float, Params, Space
from tunekit.spaces.serialize import space_to_dict
from tunekit.storages.project import ProjectStorage
from tunekit.storages.sql.storage import SQLStorage
from tunekit.storages.urls import open_database

OLD = Space({"x": Float(0.0, 1.0)})
NEW = Space({"x": Float(0.0, 0.5), "y": Float(1.0, 2.0, default=1.5)})
SPEC = StudySpec("digits", (ObjectiveSpec("loss"),), space=OLD)


class Edits:
    def __init__(self, client: TestClient, storage: SQLStorage, spec: StudySpec = SPEC) -> None:
        self.client = client
        self.storage = ProjectStorage(storage, "vision")
        self.id = self.storage.create_study(spec).id
        domain = {"x": {"type": "float", "lo": 0.0, "hi": 1.0}}
        trials = [
            TrialRecord(
                n, TrialState.COMPLETE, params=Params({"x": n / 10}), metrics={"loss": 1.0},
                domains=domain if spec.space is None and n == 0 else {},
            )
            for n in range(10)
        ]  # fmt: skip
        self.storage.add_trials(self.id, trials, {})

    def get(self, **headers: str) -> Any:
        return self.client.get(self._url, headers=headers)

    def put(self, space: Space, *, preview: bool = False, match: str | None = None) -> Any:
        headers = {} if match is None else {"If-Match": match}
        query = {"preview": "true"} if preview else {}
        return self.client.put(self._url, json=space_to_dict(space), headers=headers, params=query)

    @property
    def _url(self) -> str:
        return f"/api/v1/projects/vision/studies/{self.id}/space"


@pytest.fixture
def edits(database_url: str) -> Iterator[Edits]:
    storage = SQLStorage(open_database(database_url))
    with TestClient(create_app(Service(storage, url=database_url))) as client:
        yield Edits(client, storage)


def test_the_current_space_is_read_and_edited_by_its_etag(edits: Edits) -> None:
    first = edits.get()
    assert first.json() == {"version": 1, "space": space_to_dict(OLD)}
    assert first.headers["etag"] == '"1"'
    unchanged = edits.get(**{"If-None-Match": '"1"'})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    stored = edits.put(NEW, match=first.headers["etag"])
    assert (stored.status_code, stored.headers["etag"]) == (200, '"2"')
    assert edits.get(**{"If-None-Match": '"1"'}).json()["version"] == 2
    late = edits.put(OLD, match=first.headers["etag"])
    assert (late.status_code, late.json()["code"]) == (409, "TK202")


def test_a_preview_says_what_an_edit_would_do_and_stores_nothing(edits: Edits) -> None:
    preview = edits.put(NEW, preview=True)
    assert preview.status_code == 200, preview.text
    assert preview.json() == {
        "version": 1,
        "changes": [
            "x: bounds [0.0, 1.0] -> [0.0, 0.5] (narrowing)",
            "y: added, old trials take 1.5 (widening)",
        ],
        "n_valid": 6,
        "n_outside": 4,
    }
    assert edits.get().json()["version"] == 1
    assert edits.put(NEW, preview=True, match='"1"').status_code == 200
    late = edits.put(NEW, preview=True, match='"2"')
    assert (late.status_code, late.json()["code"]) == (409, "TK202")


def test_an_edit_without_the_etag_of_what_was_read_is_refused(edits: Edits) -> None:
    refused = edits.put(NEW)
    assert (refused.status_code, refused.json()["code"]) == (422, "TK104")
    assert "If-Match is missing" in refused.json()["detail"]


def test_a_discovered_space_is_shown_as_far_as_it_is_known(edits: Edits) -> None:
    spec = replace(SPEC, name="open", space=None)
    found = Edits(edits.client, edits.storage._storage, spec)  # type: ignore[arg-type]
    answer = found.get()
    assert answer.json()["version"] == 0
    assert "x" in str(answer.json()["space"])
    assert "etag" not in answer.headers
    refused = found.put(NEW, preview=True)
    assert (refused.status_code, refused.json()["code"]) == (422, "TK104")
