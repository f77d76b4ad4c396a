import base64
import hashlib
import json
import os
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select

from tunekit.errors import QuotaReached
from tunekit.records import ObjectiveSpec, StudySpec, TrialRecord, TrialState
from tunekit.service.app import Service, create_app
from tunekit.service.attachments import notes as notes_module
from tunekit.service.attachments.artifacts import ORPHAN_S
from tunekit.service.attachments.files import Files, FolderFiles, RemoteFiles
from tunekit.service.routes import artifacts as routes
from tunekit.spaces import Params
from tunekit.storages.project import ProjectStorage
from tunekit.storages.sql.service_tables import artifacts, notes
from tunekit.storages.sql.storage import SQLStorage
from tunekit.storages.urls import open_database
from tunekit.testing.service import running_service


class Study:
    def __init__(self, service: Service, client: Any, folder: Path) -> None:
        self.service = service
        self.client = client
        self.folder = folder
        self.storage = ProjectStorage(service.storage, "vision")
        self.id = self.storage.create_study(StudySpec("digits", (ObjectiveSpec("loss"),))).id
        trial = TrialRecord(0, TrialState.COMPLETE, params=Params({"x": 1}), metrics={"loss": 1.0})
        self.storage.add_trials(self.id, [trial] * 2, {})

    def send(self, method: str, path: str, **more: Any) -> Any:
        url = f"/api/v1/projects/vision/studies/{self.id}{path}"
        return self.client.request(method, url, **more)

    def put(self, name: str, content: bytes, number: int = 0, **headers: str) -> Any:
        path = f"/trials/{number}/artifacts/{name}"
        return self.send("PUT", path, content=content, headers=headers)

    def contents(self) -> list[str]:
        return sorted(os.listdir(self.folder)) if self.folder.exists() else []

    def count(self, table: Any) -> int:
        rows = select(func.count()).select_from(table)
        found: int = self.service.storage.database.read(lambda c: c.execute(rows).scalar_one())
        return found


@pytest.fixture
def study(database_url: str, tmp_path: Path) -> Iterator[Study]:
    storage = SQLStorage(open_database(database_url))
    service = Service(storage, artifacts_at=str(tmp_path / "files"))
    with TestClient(create_app(service)) as client:
        yield Study(service, client, tmp_path / "files")


def test_notes_are_added_listed_by_study_and_trial_and_deleted(study: Study) -> None:
    texts = {"": "looks good", "/trials/1": "<script>\nalert(1)</script>"}
    made = {
        where: study.send("POST", f"{where}/notes", json={"text": text})
        for where, text in texts.items()
    }
    assert [m.status_code for m in made.values()] == [201, 201]
    first, second = (m.json() for m in made.values())
    assert (first["number"], second["number"], second["text"]) == (None, 1, texts["/trials/1"])
    assert study.send("GET", "/notes").json() == {"notes": [first, second], "more": False}
    assert study.send("GET", "/notes", params={"limit": 1}).json()["more"] is True
    assert study.send("GET", "/notes", params={"after": first["id"]}).json()["notes"] == [second]
    assert study.send("GET", "/trials/1/notes").json()["notes"] == [second]
    assert study.send("GET", "/trials/0/notes").json()["notes"] == []
    assert study.send("DELETE", f"/notes/{first['id']}").status_code == 204
    gone = study.send("DELETE", f"/notes/{first['id']}")
    assert (gone.status_code, gone.json()["code"]) == (404, "TK204")
    assert study.send("GET", "/notes").json()["notes"] == [second]


@pytest.mark.parametrize("text", ["", " \n", "a\0b", "x" * 10_001, "\u00fc" * 5001, "\ud800"])
def test_what_is_no_note_is_refused(study: Study, text: str) -> None:
    body = {"content": json.dumps({"text": text}), "headers": {"Content-Type": "application/json"}}
    answer = study.send("POST", "/notes", **body)
    assert (answer.status_code, answer.json()["code"]) == (422, "TK104")
    assert study.count(notes) == 0


def test_a_note_sent_twice_with_one_key_is_added_once(study: Study) -> None:
    key = {"Idempotency-Key": "k"}
    first = study.send("POST", "/notes", json={"text": "a"}, headers=key)
    again = study.send("POST", "/notes", json={"text": "a"}, headers=key)
    assert (again.status_code, again.json()) == (201, first.json())
    other = study.send("POST", "/notes", json={"text": "b"}, headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "TK606")
    assert study.count(notes) == 1


def test_the_number_of_notes_is_bounded(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notes_module, "MAX_NOTES", 2)
    codes = [study.send("POST", "/notes", json={"text": "a"}).status_code for _ in range(3)]
    assert codes == [201, 201, 429]


def test_nothing_is_attached_to_what_does_not_exist(study: Study) -> None:
    assert study.send("POST", "/trials/2/notes", json={"text": "a"}).status_code == 404
    assert study.put("a.txt", b"a", number=2).status_code == 404
    assert study.send("GET", "/trials/2/notes").status_code == 404
    assert study.send("GET", "/trials/2/artifacts").status_code == 404
    study.storage.delete_study("digits")
    assert study.send("GET", "/notes").status_code == 404
    assert study.send("POST", "/notes", json={"text": "a"}).status_code == 404
    assert study.put("a.txt", b"a").status_code == 404
    assert (study.count(notes), study.count(artifacts), study.contents()) == (0, 0, [])


def test_an_artifact_is_stored_listed_replaced_downloaded_and_deleted(study: Study) -> None:
    content = os.urandom(3 * routes.CHUNK + 17)
    sha256 = hashlib.sha256(content).hexdigest()
    answer = study.put("model v1.pt", content, **{"Content-Type": "text/html"})
    assert answer.status_code == 200, answer.text
    made = answer.json()
    assert (made["size"], made["sha256"], made["media_type"]) == (
        len(content),
        sha256,
        "text/html",
    )
    assert study.send("GET", "/trials/0/artifacts").json() == {"artifacts": [made], "more": False}
    got = study.send("GET", "/trials/0/artifacts/model v1.pt")
    assert got.content == content
    assert got.headers["etag"] == f'"{sha256}"'
    assert study.put("model v1.pt", b"new").status_code == 200
    assert study.send("GET", "/trials/0/artifacts/model v1.pt").content == b"new"
    assert len(study.contents()) == study.count(artifacts) == 1
    assert study.send("DELETE", "/trials/0/artifacts/model v1.pt").status_code == 204
    assert study.send("GET", "/trials/0/artifacts/model v1.pt").status_code == 404
    assert study.send("DELETE", "/trials/0/artifacts/model v1.pt").status_code == 404
    assert (study.contents(), study.count(artifacts)) == ([], 0)


def test_a_download_is_never_shown_by_a_browser(study: Study) -> None:
    study.put("page.html", b"<script>alert(1)</script>", **{"Content-Type": "text/html"})
    headers = study.send("GET", "/trials/0/artifacts/page.html").headers
    assert headers["content-type"] == "application/octet-stream"
    assert headers["content-disposition"].startswith('attachment; filename="page.html"')
    assert headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in headers["content-security-policy"]


@pytest.mark.parametrize(
    "name", ["..", ".hidden", "a%2Fb", "a%5Cb", "a%0Ab", "a%00b", "a.", "x" * 201, "a%22b", "a;b"]
)
def test_a_name_that_could_be_a_path_or_a_header_is_refused(study: Study, name: str) -> None:
    assert study.put(name, b"a").status_code in (404, 405, 422)
    assert (study.contents(), study.count(artifacts)) == ([], 0)


def test_an_artifact_beyond_the_limit_is_refused_and_leaves_nothing(study: Study) -> None:
    size = {"Content-Length": str(routes.MAX_BYTES + 1)}
    assert study.send("PUT", "/trials/0/artifacts/a", headers=size).status_code == 413
    assert (study.contents(), study.count(artifacts)) == ([], 0)


def test_a_digest_that_is_not_that_of_the_body_is_refused(study: Study) -> None:
    digest = base64.b64encode(hashlib.sha256(b"whole").digest()).decode()
    header = {"Content-Digest": f"sha-256=:{digest}:"}
    cut = study.put("a", b"who", **header)
    assert (cut.status_code, cut.json()["code"]) == (422, "TK104")
    assert (study.contents(), study.count(artifacts)) == ([], 0)
    assert study.put("a", b"whole", **header).status_code == 200


def test_a_late_repetition_with_a_key_does_not_replace_what_came_after(study: Study) -> None:
    key = {"Idempotency-Key": "k"}
    first = study.put("a", b"first", **key)
    study.put("a", b"second")
    assert study.put("a", b"first", **key).json() == first.json()
    assert study.send("GET", "/trials/0/artifacts/a").content == b"second"
    assert study.put("a", b"other", **key).status_code == 422
    assert len(study.contents()) == 1


def test_a_quota_of_stored_bytes_refuses_an_artifact_before_it_is_read(study: Study) -> None:
    def refuse(project: str) -> None:
        raise QuotaReached(f"project {project!r} is full.")

    study.service.artifacts.check_storing = refuse
    answer = study.put("a", b"a")
    assert (answer.status_code, answer.json()["detail"]) == (429, "project 'vision' is full.")
    assert study.contents() == []


def test_a_deleted_study_takes_its_notes_and_artifacts_along(study: Study) -> None:
    study.put("a", b"a")
    study.put("b", b"b", number=1)
    study.send("POST", "/notes", json={"text": "a"})
    assert study.send("DELETE", "").status_code == 204
    assert (study.contents(), study.count(artifacts), study.count(notes)) == ([], 0, 0)


def test_contents_that_nothing_names_are_swept_once_they_are_old(study: Study) -> None:
    study.put("kept", b"kept")
    [kept] = study.contents()
    for name in ("old", "old.part", "young", "young.part"):
        (study.folder / name).write_bytes(b"x")
    for name in (kept, "old", "old.part"):
        os.utime(study.folder / name, (time.time() - ORPHAN_S - 60,) * 2)
    assert study.service.artifacts.sweep() == 1
    assert study.contents() == sorted([kept, "young", "young.part"])


def test_other_projects_see_no_attachments(study: Study) -> None:
    study.put("a", b"a")
    other = f"/api/v1/projects/other/studies/{study.id}"
    for path in ("/notes", "/trials/0/notes", "/trials/0/artifacts", "/trials/0/artifacts/a"):
        assert study.client.get(f"{other}{path}").status_code == 404
    assert study.client.put(f"{other}/trials/0/artifacts/a", content=b"b").status_code == 404
    assert study.client.post(f"{other}/notes", json={"text": "a"}).status_code == 404


@pytest.mark.parametrize("kind", ["folder", "remote"])
def test_contents_are_complete_or_absent(kind: str, tmp_path: Path) -> None:
    files: Files = FolderFiles(tmp_path / "f")
    if kind == "remote":
        files = RemoteFiles(f"memory://tunekit-{uuid4().hex}/artifacts")
    given_up = files.create("a")
    given_up.write(b"half")
    given_up.abandon()
    assert files.open("a") is None
    upload = files.create("b")
    for part in (b"one ", b"two"):
        upload.write(part)
    upload.finish()
    upload.abandon()
    content = files.open("b")
    assert content is not None
    with content:
        assert content.read(1000) == b"one two"
    assert files.older_than(-60.0) == ["b"]
    files.delete("b")
    files.delete("b")
    assert files.open("b") is None


def test_a_broken_off_upload_leaves_nothing(tmp_path: Path) -> None:
    storage = SQLStorage(open_database(f"sqlite:///{tmp_path}/team.db"))
    service = Service(storage)
    with running_service(service) as url, httpx2.Client(base_url=url, timeout=30) as client:
        study = Study(service, client, Path(f"{tmp_path}/team.db.artifacts"))

        def parts() -> Iterator[bytes]:
            yield b"x" * (2 * routes.CHUNK)
            while not study.contents():  # until the service has begun to write
                pass
            raise ConnectionAbortedError

        with pytest.raises(ConnectionAbortedError):
            study.send("PUT", "/trials/0/artifacts/a", content=parts())
    assert (study.contents(), study.count(artifacts)) == ([], 0)


def test_uploads_and_downloads_take_constant_memory(tmp_path: Path) -> None:
    storage = SQLStorage(open_database(f"sqlite:///{tmp_path}/team.db"))
    service = Service(storage)
    n = 40

    def parts() -> Iterator[bytes]:
        for _ in range(n):
            yield b"x" * 2**20

    with running_service(service) as url, httpx2.Client(base_url=url, timeout=60) as client:
        study = Study(service, client, tmp_path)
        tracemalloc.start()
        assert (
            study.send("PUT", "/trials/0/artifacts/a", content=parts()).json()["size"] == n * 2**20
        )
        path = f"/api/v1/projects/vision/studies/{study.id}/trials/0/artifacts/a"
        with client.stream("GET", path) as download:
            assert sum(map(len, download.iter_raw())) == n * 2**20
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 12 * 2**20
