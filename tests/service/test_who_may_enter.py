"""Tokens, roles and scopes, asked of a service with accounts."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select, update

from tunekit.service.access.known_grants import KEPT_S, KnownGrants
from tunekit.service.access.secret_texts import digest_of
from tunekit.service.app import Service
from tunekit.storages.http.account_messages import UserChange
from tunekit.storages.sql.access_tables import sessions, tokens, users
from tunekit.storages.sql.schema import clock
from tunekit.testing.team import Team, bearer

STUDY = {"name": "digits", "objectives": [{"metric": "loss", "direction": "minimize"}]}


@pytest.fixture
def vision(team: Team) -> Team:
    team.project("vision")
    team.project("speech")
    for role in ("viewer", "worker", "editor", "admin"):
        team.member(role, "vision", role)
    team.member("other", "speech", "admin")
    return team


def status(client: TestClient, method: str, path: str, token: str | None, **more: Any) -> int:
    headers = {} if token is None else bearer(token)
    return client.request(method, f"/api/v1{path}", headers=headers, **more).status_code


def test_a_request_without_a_valid_token_is_not_answered(client: TestClient, vision: Team) -> None:
    path = "/projects/vision/studies"
    for header in ({}, bearer("tk_wrong"), bearer(""), {"Authorization": "Basic dTpw"}):
        answer = client.get(f"/api/v1{path}", headers=header)
        assert answer.status_code == 401 and answer.json()["code"] == "TK601"
        assert answer.headers["www-authenticate"] == "Bearer"


def test_each_role_may_do_what_it_says_and_no_more(client: TestClient, vision: Team) -> None:
    path = "/projects/vision/studies"
    allowed = {"viewer": 403, "worker": 403, "editor": 201, "admin": 409}
    for role, expected in allowed.items():
        token = vision.token(role)
        assert status(client, "GET", path, token) == 200
        assert status(client, "POST", path, token, json=STUDY) == expected


def test_a_project_of_others_looks_like_one_that_does_not_exist(
    client: TestClient, vision: Team
) -> None:
    token = vision.token("other")
    answers = [
        client.get(f"/api/v1/projects/{name}/studies", headers=bearer(token))
        for name in ("vision", "nothing")
    ]
    assert [a.status_code for a in answers] == [404, 404]
    assert answers[0].text.replace("vision", "") == answers[1].text.replace("nothing", "")


def test_the_scope_of_a_token_lowers_the_role_of_its_owner(
    client: TestClient, vision: Team
) -> None:
    path = "/projects/vision/studies"
    viewer = vision.token("admin", role="viewer")
    assert status(client, "GET", path, viewer) == 200
    assert status(client, "POST", path, viewer, json=STUDY) == 403
    wide = vision.token("viewer", role="admin")  # more than the owner's role
    assert status(client, "POST", path, wide, json=STUDY) == 403
    vision.accounts.projects.set_role("speech", "admin", "admin")
    only = vision.token("admin", project="speech")
    assert status(client, "GET", path, only) == 404
    assert status(client, "GET", "/projects/speech/studies", only) == 200


def test_a_token_with_a_scope_issues_no_tokens(client: TestClient, vision: Team) -> None:
    new = {"label": "wider", "role": "operator"}
    for scope in ({"role": "admin"}, {"project": "vision"}):
        token = vision.token("admin", **scope)
        assert status(client, "POST", "/tokens", token, json=new) == 403
        machine = {"label": "wider", "role": "admin"}
        assert status(client, "POST", "/projects/vision/tokens", token, json=machine) == 403
    assert status(client, "POST", "/tokens", vision.machine("vision", "admin"), json=new) == 403


def test_a_machine_token_opens_its_project_only(client: TestClient, vision: Team) -> None:
    token = vision.machine("vision")
    caller = client.get("/api/v1/caller", headers=bearer(token)).json()
    assert (caller["user"], caller["kind"], caller["project"]) == ("robot", "machine", "vision")
    assert status(client, "GET", "/projects/vision/studies", token) == 200
    assert status(client, "GET", "/projects/default/studies", token) == 404


def test_an_operator_enters_every_project(client: TestClient, vision: Team) -> None:
    vision.user("root", is_operator=True)
    path = "/projects/vision/studies"
    assert status(client, "POST", path, vision.token("root"), json=STUDY) == 201
    assert status(client, "GET", "/users", vision.token("root")) == 200
    assert status(client, "GET", "/users", vision.token("root", role="admin")) == 403
    assert status(client, "GET", "/users", vision.token("admin")) == 403


def test_a_revoked_token_and_a_disabled_user_are_refused_by_the_next_request(
    client: TestClient, vision: Team
) -> None:
    token, path = vision.token("admin"), "/projects/vision/studies"
    headers = bearer(token)
    assert client.get(f"/api/v1{path}", headers=headers).status_code == 200
    mine = client.get("/api/v1/tokens", headers=headers).json()["tokens"]
    assert len(mine) == 1 and token not in str(mine)
    assert status(client, "DELETE", f"/tokens/{mine[0]['id']}", token) == 204
    assert client.get(f"/api/v1{path}", headers=headers).status_code == 401

    vision.user("root", is_operator=True)
    later = vision.token("admin")
    assert status(client, "GET", path, later) == 200
    vision.accounts.users.change("admin", UserChange(is_active=False))
    assert status(client, "GET", path, later) == 401


def test_a_token_ends_when_it_expires(client: TestClient, vision: Team, service: Service) -> None:
    token, path = vision.token("viewer", days=1), "/projects/vision/studies"
    assert status(client, "GET", path, token) == 200
    over = update(tokens).values(expires=clock() - 1)
    assert service.accounts is not None
    service.accounts.tokens._db.write(lambda c: c.execute(over))
    assert status(client, "GET", path, token) == 401


def test_one_replica_sees_what_another_revoked_within_a_second(
    service: Service, team: Team
) -> None:
    import asyncio

    team.user("ann")
    digest = digest_of(team.token("ann"))
    now = [100.0]
    tables = team.accounts.tokens._db
    known = KnownGrants(tables, now=lambda: now[0])
    reads: list[str] = []

    def read(given: str) -> Any:
        reads.append(given)
        return team.accounts.grants.of_token(given)

    async def work() -> None:
        first = await asyncio.gather(*(known.grant(digest, read) for _ in range(20)))
        assert all(g is not None and g.name == "ann" for g in first) and len(reads) == 1
        # Written by another process: this one counts no change.
        tables._database.write(lambda c: c.execute(update(tokens).values(revoked=clock())))
        assert await known.grant(digest, read) is not None
        now[0] += KEPT_S
        assert await known.grant(digest, read) is None

    asyncio.run(work())
    service.storage.close()


def test_the_last_use_of_a_token_is_written_once_a_minute(client: TestClient, team: Team) -> None:
    team.user("ann")
    token = team.token("ann")
    tables = team.accounts.tokens._db

    def used() -> float | None:
        return tables.read(lambda c: c.execute(select(tokens.c.last_used)).scalar())

    assert used() is None
    assert status(client, "GET", "/caller", token) == 200
    first = used()
    assert first is not None
    tables.changes += 1  # forget the grant
    assert status(client, "GET", "/caller", token) == 200
    assert used() == first
    tables.write(lambda c: c.execute(update(tokens).values(last_used=first - 61)))
    assert status(client, "GET", "/caller", token) == 200
    again = used()
    assert again is not None and again > first - 61


def test_no_table_holds_a_secret(client: TestClient, team: Team) -> None:
    team.user("root", is_operator=True)
    secret = team.token("root")
    invited = client.post("/api/v1/users", headers=bearer(secret), json={"name": "ann"}).json()
    link = invited["path"].partition("#")[2].partition(",")[0]
    password = "the horse is a battery"
    logged_in = client.post("/api/v1/setup", json={"secret": link, "password": password})
    assert logged_in.status_code == 200
    cookie = client.cookies["tunekit_session"]
    stored = team.accounts.tokens._db.read(
        lambda c: str([c.execute(select(t)).all() for t in (tokens, users, sessions)])
    )
    for text in (secret, link, password, cookie):
        assert text not in stored
    assert digest_of(secret) in stored and "$argon2id$" in stored
