"""The links of the OpenAPI document lead from the caller to every route, and each step is granted.

Every route is asked once, at the end of the shortest way to it in a project of its own. Bodies
are what the links send and the description's examples: both are tried by this.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.service.conftest import service_at
from tunekit.service.app import create_app
from tunekit.testing.team import Team, bearer

Doc = dict[str, Any]

METHODS = ("get", "put", "post", "delete", "patch")
REFUSED = {
    "begin_oidc_login": "404",  # without a provider
    "finish_oidc_login": "404",
    "log_in": "401",  # no such password, link
    "set_up": "401",
    "change_password": "422",
}
"""Routes whose success no link can bring about, with their answer."""
UNASKED = {"stream_events", "shared_chart_trial"}
"""The one has no end, the other needs both a share link and a trial."""


class Description:
    """The operations of an OpenAPI document and the links between them."""

    def __init__(self, doc: Doc) -> None:
        self.operations: dict[str, Doc] = {
            operation["operationId"]: {**operation, "method": method, "path": path}
            for path, methods in doc["paths"].items()
            for method, operation in methods.items()
            if method in METHODS
        }

    def links(self, name: str) -> dict[str, Doc]:
        found: dict[str, Doc] = {}
        for response in self.operations[name]["responses"].values():
            found |= {link["operationId"]: link for link in response.get("links", {}).values()}
        return found

    def body(self, name: str, link: Doc) -> Any:
        """What a link or the description would have a client send; `None` for nothing."""
        content = self.operations[name].get("requestBody", {}).get("content", {})
        example = content.get("application/json", {}).get("example")
        if content and example is None and "requestBody" not in link:
            raise LookupError(f"body for {name}")
        return link.get("requestBody", example)

    def ways(self, target: str) -> Iterator[list[str]]:
        """The ways from the caller, through a new project where the route is in one, by length."""
        start = (
            "create_project" if "{project}" in self.operations[target]["path"] else "get_caller"
        )
        todo = deque([[start]])
        while todo:
            way = todo.popleft()
            if way[-1] == target:
                yield way
            todo.extend([*way, other] for other in self.links(way[-1]) if other not in way)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    service = service_at(f"sqlite:///{tmp_path_factory.mktemp('links')}/team.db")
    assert service.accounts is not None
    team = Team(service.accounts)
    team.user("root", is_operator=True, may_create=True)
    with TestClient(create_app(service), base_url="http://127.0.0.1") as client:
        client.headers.update(bearer(team.token("root")))
        client.follow_redirects = False
        yield client


@pytest.fixture(scope="module")
def description(client: TestClient) -> Description:
    return Description(client.get("/openapi.json").json())


def evaluate(expression: Any, sent: Doc, answer: Any) -> Any:
    """The value of a runtime expression, also within lists and mappings.

    Reference:
        OpenAPI 3.1.0, section 4.8.20.4.
    """
    if isinstance(expression, dict):
        return {k: evaluate(v, sent, answer) for k, v in expression.items()}
    if isinstance(expression, list):
        return [evaluate(v, sent, answer) for v in expression]
    if not isinstance(expression, str) or not expression.startswith("$"):
        return expression
    if expression.startswith("$request.path."):
        return sent["path"][expression.removeprefix("$request.path.")]
    if expression.startswith("$request.header."):
        return sent["headers"][expression.removeprefix("$request.header.")]
    if expression.startswith("$response.header."):
        return answer.headers[expression.removeprefix("$response.header.")]
    where, _, pointer = expression.partition("#/")
    value = {"$request.body": sent["body"], "$response.body": answer.json()}[where]
    for part in pointer.split("/"):
        value = value[int(part) if isinstance(value, list) else part]
    return value


def follow(client: TestClient, description: Description, way: list[str], project: str) -> Any:
    """Ask each route of a way, each as the answer before it says; return the last answer."""
    link: Doc = {}
    sent: Doc = {}
    answer: Any = None
    for i, name in enumerate(way):
        operation = description.operations[name]
        parameters = evaluate(link.get("parameters", {}), sent, answer)
        body = evaluate(description.body(name, link), sent, answer)
        if name in ("create_project", "create_user"):
            body = {**body, "name": project}
        declared = {p["name"]: p["in"] for p in operation.get("parameters", ())}
        headers = {n: str(v) for n, v in parameters.items() if declared[n] == "header"}
        query = {n: v for n, v in parameters.items() if declared[n] == "query"}
        sent = {"path": parameters, "headers": headers, "body": body}
        url = operation["path"].format_map(parameters)
        answer = client.request(operation["method"], url, params=query, headers=headers, json=body)
        if answer.status_code >= 400 or name == way[-1]:
            return answer
        link = description.links(name)[way[i + 1]]
    raise AssertionError("a way has an end")


def test_links_lead_from_the_caller_to_every_route(description: Description) -> None:
    reached, todo = set(), ["get_caller"]
    while todo:
        name = todo.pop()
        if name not in reached:
            reached.add(name)
            todo.extend(description.links(name))
    assert reached == description.operations.keys()


def test_what_the_links_and_examples_say_is_granted_by_every_route(
    client: TestClient, description: Description
) -> None:
    refused: dict[str, str] = {}
    for name in sorted(description.operations.keys() - UNASKED):
        for i, way in enumerate(islice(description.ways(name), 20)):
            try:
                answer = follow(client, description, way, f"walk-{name}-{i}".replace("_", "-"))
            except (LookupError, TypeError) as error:
                refused[name] = f"{way}: the answer has no {error}"
                continue
            if answer.status_code < 400:
                refused.pop(name, None)
                break
            refused[name] = f"{answer.status_code} {answer.text}"
            if refused[name].startswith(REFUSED.get(name, "-")):
                break
    unexpected = {n: why for n, why in refused.items() if not why.startswith(REFUSED.get(n, "-"))}
    assert not unexpected, "give the route an `example=` of its body, or a link `sends=` one"
    assert refused.keys() == REFUSED.keys()
