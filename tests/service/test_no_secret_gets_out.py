"""No password, token or link appears in a log line, an error, an export, an event or a table."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import MetaData, select

from tests.service.conftest import service_at
from tests.service.oidc_provider import running_provider
from tunekit.errors import StorageUnreachable
from tunekit.service.access.oidc import OIDC
from tunekit.service.access.oidc_records import OIDCSettings
from tunekit.service.app import create_app
from tunekit.service.logs import set_up_logs
from tunekit.storages.sql.database import Database
from tunekit.storages.sql.storage import SQLStorage
from tunekit.storages.urls import open_database
from tunekit.testing.team import Team, bearer

PASSWORD = "correct-horse-battery"
NEW_PASSWORD = "a-second-horse-battery"
STUDY = {"name": "digits", "objectives": [{"metric": "loss"}]}


class Seen:
    """All texts that left the service: answers with their headers, log lines, tables."""

    def __init__(self, log: io.StringIO) -> None:
        self.log = log
        self.answers: list[str] = []
        self.secrets: dict[str, str] = {}

    def note(self, answer: Any, *, shows: str = "") -> Any:
        """Keep an answer; it may show the secret that it is the one to issue."""
        text = f"{answer.status_code} {dict(answer.headers)} {answer.text}"
        self.answers.append(text.replace(shows, "") if shows else text)
        return answer

    def secret(self, name: str, value: str) -> str:
        """Remember what must not be seen again."""
        assert len(value) > 8
        self.secrets[name] = value
        return value

    def found_in(self, text: str) -> list[str]:
        return [name for name, value in self.secrets.items() if value in text]


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Everything that the service writes to its log, from `debug` on."""
    root = logging.getLogger()
    kept, level = list(root.handlers), root.level
    set_up_logs("debug")
    stream = io.StringIO()
    (handler,) = root.handlers
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(stream)
    yield stream
    root.handlers[:] = kept
    root.setLevel(level)


def use_everything(client: TestClient, team: Team, seen: Seen) -> None:
    """Log in, fail to, and do what handles a secret, rightly and wrongly."""
    setup = team.accounts.invitations.setup()
    assert setup is not None
    link = seen.secret("setup link", setup.path.partition("#")[2])
    seen.secret("password", PASSWORD)
    seen.secret("new password", NEW_PASSWORD)
    doc: dict[str, Any] = {"secret": link, "password": PASSWORD, "name": "root"}
    send = client.request
    for wrong in ({**doc, "password": [PASSWORD]}, {**doc, "name": f"{PASSWORD}!"}, [doc]):
        seen.note(send("POST", "/api/v1/setup", json=wrong))
    answer = send("POST", "/api/v1/setup", json=doc)
    csrf = seen.secret("csrf", answer.json()["csrf"])
    cookie = seen.secret("session", client.cookies["tunekit_session"])
    cookies = answer.headers["set-cookie"]
    assert cookie in cookies
    safe = {"X-CSRF-Token": csrf}
    wrong_login = {"name": "root", "password": NEW_PASSWORD}
    seen.note(send("POST", "/api/v1/login", json=wrong_login))
    mistaken = {"name": NEW_PASSWORD, "password": "root"}
    seen.note(send("POST", "/api/v1/login", json=mistaken))
    seen.note(send("POST", "/api/v1/login", content=json.dumps(wrong_login)[:-1],
                   headers={"Content-Type": "application/json"}))  # fmt: skip
    change = {"current": PASSWORD, "new": NEW_PASSWORD}
    seen.note(send("PUT", "/api/v1/caller/password", json={**change, "new": 7}, headers=safe))
    seen.note(send("PUT", "/api/v1/caller/password", json=change, headers=safe))
    invited = send("POST", "/api/v1/users", json={"name": "ann"}, headers=safe)
    seen.secret("invitation", invited.json()["path"].partition("#")[2].split(",")[0])
    issued = send(
        "POST", "/api/v1/tokens", json={"label": "mine", "role": "operator"}, headers=safe
    )
    token = seen.secret("token", issued.json()["secret"])
    machine = send("POST", "/api/v1/projects/default/tokens", json={"label": "r"}, headers=safe)
    seen.secret("machine token", machine.json()["secret"])
    with_token = bearer(token)
    seen.note(send("POST", "/api/v1/projects/default/studies", json=STUDY, headers=with_token))
    seen.note(send("GET", "/api/v1/tokens", headers=with_token))
    unknown = seen.secret("unknown token", "tk_somebody-mistyped-this-one")
    seen.note(send("GET", "/api/v1/tokens", headers=bearer(unknown)))
    seen.note(send("GET", "/api/v1/tokens", headers={"Authorization": f"Basic {unknown}"}))
    seen.note(send("GET", f"/api/v1/projects/default/studies/{2**70}", headers=with_token))
    seen.note(send("GET", "/login"))
    seen.note(send("GET", "/setup"))


def read_everything(client: TestClient, token: str, seen: Seen) -> None:
    """Read all that a GET route of the interface tells an operator."""
    paths = client.get("/openapi.json").json()["paths"]
    for path, methods in paths.items():
        operation = methods.get("get", {"operationId": "stream"})
        if "stream" in operation["operationId"] or "caller" in path:
            continue  # an answer without an end; and the one that tells a page its CSRF token
        url = path.replace("{project}", "default").replace("{study_id}", "1")
        url = re.sub(r"\{\w+(:path)?\}", "0", url)
        seen.note(client.get(url, headers=bearer(token), follow_redirects=False))


def stored(database: Database) -> str:
    """Return all rows of all tables as a text."""

    def work(c: Any) -> str:
        tables = MetaData()
        tables.reflect(c)
        return repr([c.execute(select(t)).all() for t in tables.sorted_tables])

    return database.read(work)


def test_no_secret_appears_in_any_log_line_answer_or_table(
    tmp_path: Path, log: io.StringIO
) -> None:
    service = service_at(f"sqlite:///{tmp_path}/team.db")
    assert service.accounts is not None
    team, seen = Team(service.accounts), Seen(log)
    with TestClient(create_app(service), base_url="http://127.0.0.1") as client:
        use_everything(client, team, seen)
        read_everything(client, seen.secrets["token"], seen)
        rows = stored(service.storage.database)
    assert len(seen.answers) > 30
    assert len(log.getvalue().splitlines()) > 30
    assert [t for t in seen.answers if seen.found_in(t)] == []
    assert seen.found_in(log.getvalue()) == []
    seen.secrets.pop("csrf")  # it is of no use without the cookie's secret
    assert seen.found_in(rows) == []


def test_no_secret_of_a_login_elsewhere_is_logged(tmp_path: Path, log: io.StringIO) -> None:
    service = service_at(f"sqlite:///{tmp_path}/team.db")
    with (
        running_provider() as provider,
        TestClient(create_app(service), base_url="http://127.0.0.1") as client,
    ):
        settings = OIDCSettings(provider.issuer, provider.client_id, provider.client_secret)
        service.oidc = OIDC(settings)
        assert provider.client_secret not in repr(settings)
        began = client.get("/oidc/login", follow_redirects=False)
        assert began.status_code == 303
        state = re.findall(r"state=([^&]+)", began.headers["location"])[0]
        code = "a-code-that-is-worth-a-login"
        answer = client.get(f"/oidc/callback?state={state}&code={code}")
        assert answer.status_code == 401
        for secret in (provider.client_secret, state, code):
            assert secret not in log.getvalue()
        assert provider.client_secret not in answer.text


def test_the_password_of_the_database_is_in_no_error_and_no_log_line(
    log: io.StringIO, postgres_url: str
) -> None:
    secret = "p4ss-of-the-database"
    url = postgres_url.replace("://tunekit@", f"://tunekit:{secret}@", 1)
    assert secret in url
    service = service_at(url)
    with TestClient(create_app(service), base_url="http://127.0.0.1") as client:
        texts = [client.get(p).text for p in ("/readyz", "/openapi.json", "/api/v1/caller")]
        texts += [repr(service), str(service.storage.url), repr(service.storage.database.engine)]
    away = open_database(f"postgresql://tunekit:{secret}@127.0.0.1:1/team")
    away.outage_s = 0.0
    with pytest.raises(StorageUnreachable) as refused:
        SQLStorage(away)
    away.close()
    texts += [str(refused.value), repr(away), away.url]
    assert [t for t in texts if secret in t] == []
    assert secret not in log.getvalue()
