"""Passwords, sessions, cookies and one-time links."""

import asyncio
import re
import threading

import pytest
from argon2 import PasswordHasher
from fastapi.testclient import TestClient

from tunekit.errors import ServiceBusy
from tunekit.service.access.passwords import Passwords
from tunekit.service.app import Service, create_app
from tunekit.storages.http.account_messages import UserChange
from tunekit.testing.team import Team, bearer

PASSWORD = "horse and battery staple"
COOKIE = "tunekit_session"


def set_up(client: TestClient, team: Team, name: str, password: str = PASSWORD) -> None:
    secret = secret_of(team.accounts.invitations.invite(name).path)
    answer = client.post("/api/v1/setup", json={"secret": secret, "password": password})
    assert answer.status_code == 200, answer.text
    client.cookies.clear()


def secret_of(path: str) -> str:
    return path.partition("#")[2].split(",")[0]


def log_in(client: TestClient, name: str, password: str = PASSWORD) -> dict[str, str]:
    """Log in; the client keeps the cookie, the result has the header of unsafe requests."""
    answer = client.post("/api/v1/login", json={"name": name, "password": password})
    assert answer.status_code == 200, answer.text
    return {"X-CSRF-Token": answer.json()["csrf"]}


def test_the_first_link_makes_one_operator_once(client: TestClient, team: Team) -> None:
    links = [team.accounts.invitations.setup() for _ in range(2)]  # of two replicas
    secrets = [secret_of(link.path) for link in links if link is not None]
    doc = {"secret": secrets[0], "password": PASSWORD, "name": "root"}
    short = client.post("/api/v1/setup", json={**doc, "password": "short"})
    assert short.status_code == 422 and "12 to 1000" in short.json()["detail"]
    assert client.post("/api/v1/setup", json=doc).json()["user"] == "root"
    assert client.get("/api/v1/users").json()["users"][0]["is_operator"]
    for secret in secrets:
        again = client.post("/api/v1/setup", json={**doc, "secret": secret, "name": "eve"})
        assert again.status_code == 401
    assert team.accounts.invitations.setup() is None


def test_a_link_of_a_user_sets_the_password_of_that_user_only(
    client: TestClient, team: Team
) -> None:
    team.user("ann")
    secret = secret_of(team.accounts.invitations.invite("ann").path)
    doc = {"secret": secret, "password": PASSWORD}
    assert client.post("/api/v1/setup", json={**doc, "name": "eve"}).status_code == 422
    assert client.post("/api/v1/setup", json=doc).json()["user"] == "ann"
    assert client.post("/api/v1/setup", json=doc).status_code == 401


def test_a_cookie_alone_reads_but_changes_nothing(client: TestClient, team: Team) -> None:
    team.user("ann", may_create=True)
    set_up(client, team, "ann")
    csrf = log_in(client, "ann")
    assert client.get("/api/v1/caller").json()["csrf"] == csrf["X-CSRF-Token"]
    project = {"name": "vision"}
    assert client.post("/api/v1/projects", json=project).status_code == 403
    wrong = {"X-CSRF-Token": "guess"}
    assert client.post("/api/v1/projects", json=project, headers=wrong).status_code == 403
    assert client.post("/api/v1/projects", json=project, headers=csrf).status_code == 201


def test_the_cookie_is_kept_from_scripts_and_other_sites(
    service: Service, client: TestClient, team: Team
) -> None:
    team.user("ann")
    set_up(client, team, "ann")
    doc = {"name": "ann", "password": PASSWORD}
    plain = client.post("/api/v1/login", json=doc).headers["set-cookie"].lower()
    assert "httponly" in plain and "samesite=lax" in plain and "secure" not in plain
    tls = TestClient(create_app(service), base_url="https://127.0.0.1")
    assert "secure" in tls.post("/api/v1/login", json=doc).headers["set-cookie"].lower()


def test_each_login_begins_a_new_session_and_ends_the_last_one(
    client: TestClient, team: Team
) -> None:
    team.user("ann")
    set_up(client, team, "ann")
    client.cookies.set(COOKIE, "tks_fixed-by-somebody-else", domain="127.0.0.1")
    log_in(client, "ann")
    first = client.cookies[COOKIE]
    assert first != "tks_fixed-by-somebody-else"
    log_in(client, "ann")
    second = client.cookies[COOKIE]
    assert second != first
    client.cookies.clear()
    header = {"Cookie": f"{COOKIE}={first}"}
    assert client.get("/api/v1/caller", headers=header).status_code == 401
    header = {"Cookie": f"{COOKIE}={second}"}
    assert client.get("/api/v1/caller", headers=header).status_code == 200


def test_logging_out_ends_the_session_at_the_service(client: TestClient, team: Team) -> None:
    team.user("ann")
    set_up(client, team, "ann")
    csrf = log_in(client, "ann")
    cookie = client.cookies[COOKIE]
    assert client.post("/api/v1/logout", headers=csrf).status_code == 204
    assert COOKIE not in client.cookies
    header = {"Cookie": f"{COOKIE}={cookie}"}
    assert client.get("/api/v1/caller", headers=header).status_code == 401


def test_a_new_password_ends_the_other_sessions(client: TestClient, team: Team) -> None:
    team.user("ann")
    set_up(client, team, "ann")
    log_in(client, "ann")
    elsewhere = {"Cookie": f"{COOKIE}={client.cookies[COOKIE]}"}
    client.cookies.clear()
    csrf = log_in(client, "ann")
    change = {"current": "wrong", "new": "another long password"}
    path = "/api/v1/caller/password"
    assert client.put(path, json=change, headers=csrf).status_code == 422
    change["current"] = PASSWORD
    assert client.put(path, json=change, headers=csrf).status_code == 204
    assert client.get("/api/v1/caller").status_code == 200
    client.cookies.clear()
    assert client.get("/api/v1/caller", headers=elsewhere).status_code == 401
    log_in(client, "ann", "another long password")


def test_a_disabled_user_cannot_log_in_and_the_last_operator_stays(
    client: TestClient, team: Team
) -> None:
    team.user("root", is_operator=True)
    team.user("ann")
    set_up(client, team, "ann")
    team.accounts.users.change("ann", UserChange(is_active=False))
    doc = {"name": "ann", "password": PASSWORD}
    assert client.post("/api/v1/login", json=doc).status_code == 401
    last = {"is_active": False}
    headers = bearer(team.token("root"))
    answer = client.patch("/api/v1/users/root", json=last, headers=headers)
    assert answer.status_code == 422 and "last operator" in answer.json()["detail"]


def test_an_unknown_user_costs_a_hash_as_a_known_one_does(
    client: TestClient, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    team.user("ann")
    set_up(client, team, "ann")
    team.user("new")  # without a password yet
    verified: list[str] = []
    matches = Passwords._matches

    def counted(self: Passwords, stored: str | None, password: str) -> bool:
        hasher = self._hasher

        class Counting:
            hash = staticmethod(hasher.hash)

            @staticmethod
            def verify(stored: str, password: str) -> bool:
                verified.append(stored.rpartition("$")[0].rpartition("$")[0])
                return hasher.verify(stored, password)

        self._hasher = Counting()  # type: ignore[assignment]
        try:
            return matches(self, stored, password)
        finally:
            self._hasher = hasher

    monkeypatch.setattr(Passwords, "_matches", counted)
    for name in ("ann", "new", "nobody", "no\0body"):
        doc = {"name": name, "password": "wrong"}
        assert client.post("/api/v1/login", json=doc).status_code == 401
    assert len(verified) == 4 and len(set(verified)) == 1  # the same parameters


def test_logins_beyond_a_limit_are_told_to_come_again() -> None:
    began, go_on = threading.Event(), threading.Event()

    class Slow(PasswordHasher):
        def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
            began.set()
            go_on.wait()
            return "hash"

    async def work() -> None:
        passwords = Passwords(Slow(), max_waiting=3)
        running = [asyncio.create_task(passwords.hash(PASSWORD)) for _ in range(3)]
        await asyncio.to_thread(began.wait)
        with pytest.raises(ServiceBusy):
            await passwords.hash(PASSWORD)
        running[2].cancel()  # a client that goes away makes no place while its hash waits
        go_on.set()
        assert await asyncio.gather(*running[:2]) == ["hash", "hash"]
        passwords.close()

    asyncio.run(work())


def test_the_pages_run_no_script_but_their_own(client: TestClient) -> None:
    nonces = set()
    for path in ("/login", "/setup", "/share"):
        answer = client.get(path)
        policy = answer.headers["content-security-policy"]
        (nonce,) = re.findall(r"script-src 'nonce-([\w-]+)'", policy)
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert re.findall(r"<script[^>]*>", answer.text) == [f'<script nonce="{nonce}">']
        assert not re.search(r"\son\w+=|javascript:|https?://", answer.text)
        nonces.add(nonce)
    assert len(nonces) == 3


def test_rights_change_in_a_service_whose_first_operator_is_still_to_come(
    client: TestClient, team: Team
) -> None:
    team.user("ann")
    change = UserChange(may_create=True)
    assert team.accounts.users.change("ann", change).may_create
