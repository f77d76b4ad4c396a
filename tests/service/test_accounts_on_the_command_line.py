"""`tunekit login, whoami, token, user, project` against a running service."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import tunekit as tk
from tunekit.cli.app import app
from tunekit.errors import UnknownStudy
from tunekit.service.app import Service
from tunekit.storages.http.connection import Connection
from tunekit.storages.http.credentials import credentials_file
from tunekit.storages.urls import open_storage
from tunekit.testing.service import running_service
from tunekit.testing.team import Team

SPACE = tk.Space(x=tk.Float(0.0, 1.0))
PASSWORD = "horse and battery staple"

Cli = Callable[..., Any]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("TUNEKIT_URL", raising=False)
    monkeypatch.delenv("TUNEKIT_TOKEN", raising=False)


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/team.db"


@pytest.fixture
def url(service: Service) -> Iterator[str]:
    with running_service(service) as url:
        yield url


@pytest.fixture
def cli() -> Cli:
    def call(*words: str, given: str | None = None, status: int = 0) -> Any:
        done = CliRunner().invoke(app, list(words), input=given, prog_name="tunekit")
        assert done.exit_code == status, done.output
        return done

    return call


def set_password(link: str, name: str | None = None) -> None:
    base, _, rest = link.strip().partition("/setup#")
    doc = {"secret": rest.split(",")[0], "password": PASSWORD}
    with closing(Connection(base)) as service:
        service.request("POST", "/setup", doc | ({"name": name} if name else {}))


def log_in(cli: Cli, url: str, user: str) -> None:
    cli("login", url, "--user", user, given=f"{PASSWORD}\n")


def test_a_team_is_set_up_with_commands_alone(
    cli: Cli, url: str, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert service.accounts is not None
    first = service.accounts.invitations.setup()
    assert first is not None
    set_password(f"{url}{first.path}", "root")
    log_in(cli, url, "root")
    assert credentials_file().stat().st_mode & 0o077 == 0
    me = json.loads(cli("whoami", "--json").stdout)["caller"]
    assert (me["user"], me["operator"], me["projects"]) == ("root", True, {"default": "operator"})

    cli("project", "add", "vision")
    set_password(cli("user", "add", "ann", "--may-create").stdout)
    cli("project", "grant", "vision", "ann", "editor")
    members = json.loads(cli("project", "members", "vision", "--json").stdout)["members"]
    assert members == [{"user": "ann", "role": "editor"}, {"user": "root", "role": "admin"}]
    users = json.loads(cli("user", "ls", "--json").stdout)["users"]
    assert [(u["name"], u["may_create"]) for u in users] == [("ann", True), ("root", True)]

    log_in(cli, url, "ann")
    made = cli("token", "create", "laptop", "--project", "vision", "--role", "worker")
    token = made.stdout.strip()
    assert token.startswith("tk_")
    listed = cli("token", "ls", "--json").stdout
    assert token not in listed
    laptop = next(t for t in json.loads(listed)["tokens"] if t["label"] == "laptop")
    assert (laptop["role"], laptop["project"]) == ("worker", "vision")

    study = tk.study("digits", space=SPACE, storage=f"{url}/vision")
    study.optimize(lambda trial: trial.params["x"], n_trials=2, progress=False)
    monkeypatch.setenv("TUNEKIT_TOKEN", token)
    again = tk.load_study("digits", storage=f"{url}/vision")
    assert len(again.trials) == 2
    study.storage.close()
    again.storage.close()
    cli("user", "ls", status=4)
    monkeypatch.delenv("TUNEKIT_TOKEN")
    cli("token", "revoke", str(laptop["id"]))
    monkeypatch.setenv("TUNEKIT_TOKEN", token)
    assert "revoked" in cli("whoami", status=4).stderr


def test_a_project_is_left_and_deleted(cli: Cli, url: str, team: Team) -> None:
    team.user("ann", may_create=True)
    team.user("ben")
    said = cli("login", url, "--token", given=team.token("ann")).stderr
    assert f"use it: export TUNEKIT_URL={url}/default" in said
    cli("project", "add", "vision")
    cli("project", "grant", "vision", "ben", "viewer")
    cli("project", "revoke", "vision", "ben")
    assert "not a member" in cli("project", "revoke", "vision", "ben", status=3).stderr
    assert "expected" in cli("project", "grant", "vision", "ben", "king", status=2).stderr
    machine = cli("token", "create", "robot", "--machine", "vision").stdout.strip()
    tk.study("digits", space=SPACE, storage=f"{url}/vision").storage.close()
    assert "'digits'" in cli("project", "rm", "vision", status=2).stderr
    storage = open_storage(f"{url}/vision")
    storage.delete_study("digits")
    storage.close()
    cli("project", "rm", "vision")
    assert cli("project", "ls", "--format", "csv").stdout.split() == []
    assert team.accounts.grants.of_token(machine) is None


def test_quotas_are_shown_set_and_taken_away(cli: Cli, url: str, team: Team) -> None:
    team.user("root", is_operator=True, may_create=True)
    team.member("ann", "default", "viewer")
    cli("login", url, "--token", given=team.token("root"))

    def quota(*words: str) -> dict[str, Any]:
        answer = cli("project", "quota", "default", *words, "--json").stdout
        return dict(json.loads(answer)["quotas"]["limits"])

    nothing = {"running": None, "gpus": None, "stored_bytes": None, "owners": {}}
    assert quota() == nothing
    flags = ("--running", "8", "--gpus", "1.5", "--owner", "ann=2", "--owner", "ben=3")
    assert quota(*flags) == {
        **nothing, "running": 8, "gpus": 1.5, "owners": {"ann": 2, "ben": 3},
    }  # fmt: skip
    left = {**nothing, "running": 8, "owners": {"ann": 4}}
    assert quota("--gpus", "none", "--owner", "ben=none", "--owner", "ann=4") == left
    assert "number from 0" in cli("project", "quota", "default", "--gpus", "-1", status=2).stderr
    assert "ada=4" in cli("project", "quota", "default", "--owner", "ann", status=2).stderr
    cli("login", url, "--token", given=team.token("ann"))
    assert quota() == left
    cli("project", "quota", "default", "--running", "9", status=4)


def test_the_audit_log_is_shown_to_operators_and_admins(cli: Cli, url: str, team: Team) -> None:
    team.user("root", is_operator=True, may_create=True)
    cli("login", url, "--token", given=team.token("root"))
    for name in ("vision", "speech"):
        cli("project", "add", name)
    entries = json.loads(cli("audit", "--json").stdout)["entries"]
    done = [(e["principal"], e["action"], e["project"]) for e in entries[:2]]
    assert done == [("root", "create_project", "speech"), ("root", "create_project", "vision")]
    assert len(json.loads(cli("audit", "--limit", "1", "--json").stdout)["entries"]) == 1
    cli("project", "grant", "vision", "root", "admin")
    found = json.loads(cli("audit", "--project", "vision", "--json").stdout)["entries"]
    assert (found[0]["action"], found[0]["data"]["role"]) == ("set_member", "admin")
    assert {e["project"] for e in found} == {"vision"}
    team.member("ann", "vision", "editor")
    cli("login", url, "--token", given=team.token("ann"))
    cli("audit", status=4)
    cli("audit", "--project", "vision", status=4)


def test_a_share_link_is_made_listed_and_revoked(cli: Cli, url: str, team: Team) -> None:
    team.user("root", is_operator=True, may_create=True)
    cli("login", url, "--token", given=team.token("root"))
    at = ("--url", f"{url}/default")
    tk.study("digits", space=SPACE, storage=at[1]).storage.close()
    secret = cli("share", "create", "digits", "--label", "review", "--days", "7", *at).stdout
    with closing(Connection(url)) as outsider:

        def read() -> Any:
            headers = {"X-Share-Link": secret.strip()}
            return outsider.request("GET", "/shared/study", headers=headers).doc

        assert read()["name"] == "digits"
        listed = cli("share", "ls", "digits", *at, "--json").stdout
        (link,) = json.loads(listed)["links"]
        assert secret.strip() not in listed and link["revoked"] is None
        assert (link["id"], link["label"], link["author"]) == (1, "review", "root")
        cli("share", "revoke", "digits", "1", *at)
        assert json.loads(cli("share", "ls", "digits", *at, "--json").stdout)["links"][0][
            "revoked"
        ]
        with pytest.raises(UnknownStudy):
            read()
    assert (
        "not a service" in cli("share", "ls", "digits", "--url", "sqlite:///x.db", status=2).stderr
    )
    cli("share", "ls", "dogs", *at, status=3)


def test_a_wrong_password_and_an_unknown_user_are_told_alike(
    cli: Cli, url: str, team: Team
) -> None:
    team.user("ann")
    answers = {
        cli("login", url, "--user", name, given="wrong\n", status=4).stderr
        for name in ("ann", "nobody")
    }
    assert len(answers) == 1 and "user or password is wrong" in answers.pop()
    assert not credentials_file().exists()


def test_a_user_is_added_beside_a_service_that_does_not_run(
    cli: Cli, database_url: str, service: Service, team: Team
) -> None:
    link = cli("user", "add", "ann", "--operator", "--storage", database_url).stdout
    assert re.fullmatch(r"http://HOST:PORT/setup#tki_[\w-]{43},ann\n", link)
    assert team.accounts.users.get("ann").is_operator
    assert "taken" in cli("user", "add", "ann", "--storage", database_url, status=1).stderr
    service.storage.close()


def test_commands_say_which_service_they_miss(cli: Cli) -> None:
    assert "tunekit login URL" in cli("whoami", status=2).stderr
    assert "http://host:port" in cli("login", "team.example", status=2).stderr


def test_the_first_start_prints_a_link_that_makes_the_operator(
    cli: Cli, database_url: str
) -> None:
    command = [sys.executable, "-m", "tunekit", "serve", "--port", "0", "--storage", database_url]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        base = process.stderr.readline().split()[2]
        link = process.stderr.readline().split()[-1]
        assert link.startswith(f"{base}/setup#tki_")
        set_password(link, "root")
        log_in(cli, base, "root")
        assert json.loads(cli("whoami", "--json").stdout)["caller"]["operator"] is True
    finally:
        process.terminate()
        assert PASSWORD not in process.communicate()[1]
    again = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert again.stderr is not None
    try:
        assert "tunekit serves" in again.stderr.readline()
    finally:
        again.terminate()
        assert "/setup#" not in again.communicate()[1]
