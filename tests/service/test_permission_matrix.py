"""Every route of the service, asked by a caller of every kind.

The routes and their least roles are read from the OpenAPI document: a new route is tried without
a line here, and one without a role fails.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from tests.service.conftest import service_at
from tunekit.records import ObjectiveSpec, StudySpec
from tunekit.service import routes
from tunekit.service.access.roles import Role
from tunekit.service.app import create_app
from tunekit.testing.callers import OTHER, PROJECT, RequestSender, all_callers
from tunekit.testing.team import Team, bearer

METHODS = ("get", "put", "post", "delete", "patch")
READING_POSTS = {"read_reports"}
"""Operations that change nothing, and are POST for their long questions only."""

Operation = dict[str, Any]


def operations() -> list[tuple[str, str, Operation]]:
    with TemporaryDirectory() as folder:
        service = service_at(f"sqlite:///{folder}/team.db")
        with TestClient(create_app(service), base_url="http://127.0.0.1") as client:
            doc = client.get("/openapi.json").json()
    return [
        (method.upper(), path, operation)
        for path, methods in doc["paths"].items()
        for method, operation in methods.items()
        if method in METHODS
    ]


OPERATIONS = operations()
OF_STUDIES = [(method, path) for method, path, _ in OPERATIONS if "{study_id}" in path]
IDS = [f"{method} {path}" for method, path, _ in OPERATIONS]


@pytest.fixture(scope="module")
def asked(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[TestClient, list[RequestSender]]]:
    service = service_at(f"sqlite:///{tmp_path_factory.mktemp('matrix')}/team.db")
    assert service.accounts is not None
    callers = all_callers(Team(service.accounts), service.storage.database)
    service.of_project(PROJECT).create_study(
        StudySpec("digits", (ObjectiveSpec("loss"),))
    )  # in use
    with TestClient(create_app(service), base_url="http://127.0.0.1") as client:
        yield client, callers


def outcome(client: TestClient, method: str, path: str, caller: RequestSender) -> str:
    """Ask with a body and ids that no handler accepts: only the gate's answer matters."""
    url = path.replace("{project}", PROJECT)
    url = re.sub(r"\{(study_id|number|token_id|\w*_id)\}", "999999", url)
    url = re.sub(r"\{\w+(:path)?\}", "nobody", url)
    headers = {} if caller.token is None else bearer(caller.token)
    body = {} if method in ("GET", "DELETE") else {"json": {"no": "such field"}}
    answer = client.request(method, url, headers=headers, **body)  # type: ignore[arg-type]
    code = None
    if answer.headers.get("content-type", "").startswith("application/problem"):
        code = answer.json().get("code")
    if answer.status_code in (401, 403):
        return str(answer.status_code)
    return "404" if code == "TK603" else "passes"


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS, ids=IDS)
def test_a_route_answers_exactly_those_who_may_ask(
    asked: tuple[TestClient, list[RequestSender]], method: str, path: str, operation: Operation
) -> None:
    client, callers = asked
    if operation["operationId"] in ("log_in", "set_up"):  # refuse what the body says, with 401
        callers = callers[:1]
    expected = {c.name: c.outcome(operation, path) for c in callers}
    found = {c.name: outcome(client, method, path, c) for c in callers}
    assert found == expected


@pytest.mark.parametrize(("method", "path"), OF_STUDIES, ids=[" ".join(o) for o in OF_STUDIES])
def test_the_id_of_a_study_opens_nothing_from_another_project(
    asked: tuple[TestClient, list[RequestSender]], method: str, path: str
) -> None:
    client, callers = asked
    outsider = next(c for c in callers if c.name == "outsider")
    url = path.replace("{project}", OTHER).replace("{study_id}", "1").replace("{number}", "0")
    url = re.sub(r"\{\w+(:path)?\}", "1", url)
    answer = client.request(method, url, headers=bearer(outsider.token or ""), json={})
    # What is wrong with the request may be said before the study is looked for.
    assert answer.status_code in ((404,) if method == "DELETE" else (404, 415, 422)), answer.text
    assert "digits" not in answer.text and "loss" not in answer.text


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS, ids=IDS)
def test_a_route_that_changes_something_needs_more_than_a_viewer(
    method: str, path: str, operation: Operation
) -> None:
    role = Role[operation["x-role"].upper()]
    is_reading = method == "GET" or operation["operationId"] in READING_POSTS
    if "{project}" in path and not is_reading:
        assert role >= Role.WORKER
    if "{project}" in path and is_reading:
        assert role >= Role.VIEWER
    assert (role > Role.ANYONE) == ("security" in operation)


def test_every_route_says_which_role_it_needs() -> None:
    modules = [
        importlib.import_module(f"{routes.__name__}.{found.name}")
        for found in pkgutil.iter_modules(routes.__path__)
    ]
    every = [r for m in modules if hasattr(m, "router") for r in m.router.routes]
    assert len(every) >= len(OPERATIONS)
    for route in every:
        assert isinstance(route, APIRoute) and route.include_in_schema, route.path
        assert (route.openapi_extra or {}).get("x-role") in {r.label for r in Role}, route.path
