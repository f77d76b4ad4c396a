"""The audit log: every change with who made it, and no way to change the log."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi import Request
from sqlalchemy import text
from starlette.testclient import TestClient

from tunekit.errors import NotAllowed, TrialConflict
from tunekit.records import ObjectiveSpec, Outcome, Proposal, StudySpec, TrialState
from tunekit.service.access.gate import Principal
from tunekit.service.access.roles import Role
from tunekit.service.app import Service, create_app
from tunekit.spaces import Float, Params, Space
from tunekit.storages.base import Claim, ExchangeRequest, Release, Start, Tell
from tunekit.storages.codec import to_dict
from tunekit.storages.http.connection import Connection
from tunekit.storages.http.oversight_messages import Quotas
from tunekit.storages.http.work_messages import Ask
from tunekit.storages.sql.storage import SQLStorage
from tunekit.storages.urls import open_database
from tunekit.testing.service import running_service
from tunekit.testing.team import Team, bearer

SPEC = StudySpec(name="digits", objectives=(ObjectiveSpec("error", "minimize"),))
STUDIES = "/api/v1/projects/vision/studies"


class NamedGate:
    """Takes everybody for who they say they are."""

    async def admit(self, request: Request, role: Role, project: str | None) -> Principal:
        name = request.headers.get("x-name", "")
        if name == "eve":
            raise NotAllowed("eve may do nothing.")
        return Principal(name)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> SQLStorage:
    if request.param == "postgres":
        return SQLStorage(open_database(request.getfixturevalue("postgres_url")))
    return SQLStorage(open_database(f"sqlite:///{tmp_path}/s.db"))


@pytest.fixture
def client(storage: SQLStorage) -> Iterator[TestClient]:
    with TestClient(create_app(Service(storage, gate=NamedGate()))) as client:
        client.headers["x-name"] = "ann"
        yield client


def entries(client: TestClient, where: str = "/projects/vision") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    before: int | None = 2**62
    while before is not None:
        page = client.get(f"/api/v1{where}/audit?before={before}&limit=2").json()
        assert len(page["entries"]) <= 2
        found += page["entries"]
        before = page.get("before")
    return found[::-1]


def exchange(client: TestClient, study: int, *operations: Any, n: int = 0, key: str = "") -> Any:
    claim = Claim(n, key) if n else None
    request = ExchangeRequest("host/1", operations, claim)
    answer = client.post(f"{STUDIES}/{study}/trials:exchange", json=to_dict(request))
    return answer.json()["exchange"]


def test_an_exchange_notes_what_was_asked_told_and_released_by_whom(client: TestClient) -> None:
    study = client.post(STUDIES, json=to_dict(SPEC)).json()["id"]
    exchange(client, study, n=3, key="a")
    client.headers["x-name"] = "bob"
    start = Start(0, 1, Proposal(Params({"x": 1.0}), "random", ""))
    tell = Tell(0, 1, Outcome(TrialState.COMPLETE, {"error": 0.5}), "k")
    exchange(client, study, start, tell, Release(1, 1, "busy"), Tell(2, 7, tell.outcome, "l"))
    exchange(client, study)  # asks for nothing, and so leaves no entry
    created, asked, told = entries(client)
    assert (created["action"], created["principal"]) == ("create_study", "ann")
    assert (created["study_id"], created["data"]) == (study, {"name": "digits"})
    assert (asked["action"], asked["principal"]) == ("exchange", "ann")
    assert asked["data"] == {"asked": [0, 1, 2], "worker": "host/1"}
    assert (told["principal"], told["project"]) == ("bob", "vision")
    # The tell of trial 2 with a stale epoch was refused, and so is no entry.
    assert told["data"] == {"told": [0], "released": [1], "worker": "host/1"}
    assert told["address"] == "testclient"
    assert told["request_id"]
    assert created["at"] <= asked["at"] <= told["at"]


def test_every_change_from_outside_leaves_an_entry_and_no_reading_does(client: TestClient) -> None:
    study = client.post(STUDIES, json=to_dict(SPEC)).json()["id"]
    path = f"{STUDIES}/{study}"
    client.post(f"{path}/trials:enqueue", json={"points": [{"x": 1.0}, {"x": 2.0}]})
    client.post(f"{path}/trials/1:cancel", json={"reason": "wrong"})
    client.patch(path, json={"state": "stopped"})
    client.put("/api/v1/projects/vision/quotas", json={"running": 3})
    client.post(f"{path}/reports:read", json={"every": True})
    client.get(path)
    client.patch(path, json={"state": "sideways"})  # refused, and so no change
    client.delete(path)
    made = [(e["action"], e["data"]) for e in entries(client)]
    assert made == [
        ("create_study", {"name": "digits"}),
        ("enqueue_trials", {"first": 0, "n": 2}),
        ("cancel_trial", {"number": "1"}),
        ("change_study", {"state": "stopped", "attrs": []}),
        ("set_quotas", {"running": 3}),
        ("delete_study", {"name": "digits"}),
    ]


def test_the_log_of_a_project_shows_no_other_project_and_that_of_all_shows_both(
    client: TestClient,
) -> None:
    client.post(STUDIES, json=to_dict(SPEC))
    client.post("/api/v1/projects/audio/studies", json=to_dict(SPEC))
    assert [e["project"] for e in entries(client)] == ["vision"]
    assert [e["project"] for e in entries(client, "")] == ["vision", "audio"]


def test_an_entry_and_its_exchange_are_committed_together_or_not_at_all(
    client: TestClient, storage: SQLStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = client.post(STUDIES, json=to_dict(SPEC)).json()["id"]

    def broken(*_: object, **__: object) -> None:
        raise TrialConflict("the log cannot be written.")

    with monkeypatch.context() as patched:
        patched.setattr("tunekit.service.access.claim_guard.note_exchanges", broken)
        request = ExchangeRequest("w", (), Claim(1, "a"))
        path = f"{STUDIES}/{study}/trials:exchange"
        assert client.post(path, json=to_dict(request)).status_code == 409
    assert storage.get_study("vision/digits").n_trials == 0
    assert exchange(client, study, n=1, key="a")["leases"][0]["number"] == 0
    assert [e["action"] for e in entries(client)] == ["create_study", "exchange"]


def test_no_statement_can_change_or_delete_an_entry(
    client: TestClient, storage: SQLStorage
) -> None:
    client.post(STUDIES, json=to_dict(SPEC))
    for statement in ("UPDATE tk_audit SET principal = 'eve'", "DELETE FROM tk_audit"):
        with pytest.raises(Exception, match="append-only"):
            storage.database.write(lambda c, s=statement: c.execute(text(s)))
    assert [e["principal"] for e in entries(client)] == ["ann"]


def test_logins_failed_logins_tokens_members_and_users_are_noted_without_secrets(
    service: Service, team: Team
) -> None:
    team.project("vision")
    team.member("ann", "vision", "admin")
    team.user("root", is_operator=True)
    as_root, as_ann = bearer(team.token("root")), bearer(team.token("ann"))
    api = "/api/v1"
    with TestClient(create_app(service), base_url="http://127.0.0.1") as client:
        answer = client.post(f"{api}/users", json={"name": "bob"}, headers=as_root)
        secret = re.search(r"tki_[\w-]+", answer.json()["path"])[0]
        body = {"secret": secret, "password": "correct horse battery"}
        assert client.post(f"{api}/setup", json=body).status_code == 200
        for password in ("wrong", "correct horse battery"):
            client.cookies.clear()
            client.post(f"{api}/login", json={"name": "bob", "password": password})
        client.cookies.clear()
        path = f"{api}/projects/vision"
        client.put(f"{path}/members/bob", json={"role": "viewer"}, headers=as_ann)
        client.post(f"{path}/tokens", json={"label": "rack"}, headers=as_ann)
        client.delete(f"{path}/members/bob", headers=as_ann)
        client.post(f"{path}/tokens", json={"label": "mine"})  # without a token
    found = service.audit.page(None, before=None, limit=100)[::-1]
    assert [(e.action, e.principal, e.project, e.data) for e in found] == [
        ("create_user", "root", "", {"name": "bob"}),
        ("set_up", "", "", {"user": "bob"}),
        ("log_in refused", "", "", {"user": "bob"}),
        ("log_in", "", "", {"user": "bob"}),
        ("set_member", "ann", "vision", {"user": "bob", "role": "viewer"}),
        ("issue_machine_token", "ann", "vision", {"label": "rack"}),
        ("remove_member", "ann", "vision", {"user": "bob"}),
    ]
    with service.storage.database.engine.connect() as connection:
        rows = repr(connection.execute(text("SELECT * FROM tk_audit")).all())
    assert secret not in rows
    assert "horse" not in rows


def test_trials_that_were_proposed_together_are_noted_for_whom_they_went_to(
    storage: SQLStorage,
) -> None:
    service = Service(storage, gate=NamedGate())
    space = Space({"x": Float(0.0, 1.0)})
    spec = StudySpec("digits", SPEC.objectives, space=space, sampler="random", seed=1)
    study = service.of_project("vision").create_study(spec).id
    service.quotas.set("vision", Quotas(running=6))

    def ask(index: int) -> tuple[str, list[int], str]:
        connection, name = Connection(url), f"user{index}"
        body = to_dict(Ask(f"w{index}", f"key{index}"))
        path = f"/projects/vision/studies/{study}/trials:ask"
        doc = connection.request("POST", path, body, headers={"x-name": name}).doc
        connection.close()
        return name, [t["number"] for t in doc["trials"]], doc.get("reason", "")

    with running_service(service) as url, ThreadPoolExecutor(8) as pool:
        given = list(pool.map(ask, range(8)))
        noted = service.audit.page("vision", before=None, limit=100)
    asked = {e.principal: e.data["asked"] for e in noted if "asked" in e.data}
    assert asked == {name: numbers for name, numbers, _ in given if numbers}
    assert sorted(n for numbers in asked.values() for n in numbers) == list(range(6))
    refused = [reason for _, numbers, reason in given if not numbers]
    assert len(refused) == 2
    assert all("its quota is 6" in reason for reason in refused)
