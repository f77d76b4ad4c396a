"""Links answers to the routes that a client can call next with what they hold.

A route says which parameters its answer gives; the links follow from the paths of all routes, so
that a new route is linked without a line here.

Reference:
    OpenAPI 3.1.0, section 4.8.20, Link Object.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

KEY = "x-links"
"""Where an operation keeps the fields of its `Links` until the description is complete."""


@dataclass(frozen=True, slots=True)
class Links:
    """What an answer holds for the next request.

    Attributes:
        gives: parameters of other routes, each with the expression that finds it.
        sends: bodies for single routes, with expressions in them.
        parameters: of single routes, besides those.
        is_entry: whether the routes that need no parameter are linked too.
    """

    gives: Mapping[str, str] = field(default_factory=dict)
    sends: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    is_entry: bool = False

    def lead_to(self, used: set[str], path: set[str]) -> bool:
        """Return whether the answer opens a route that uses some parameters.

        What was found below a path opens nothing outside of it, besides by a header.
        """
        if not used:
            return self.is_entry
        return not used.isdisjoint(self.gives) and (path <= used or used <= self.gives.keys())


def add_links(doc: dict[str, Any]) -> None:
    """Add its links to every success that says what it holds."""
    operations = {
        o["operationId"]: o for methods in doc["paths"].values() for o in methods.values()
    }
    holding = {name: Links(**o.pop(KEY)) for name, o in operations.items() if KEY in o}
    needs = {name: _needed(o) for name, o in operations.items()}
    takes = {name: _named(o, "header") for name, o in operations.items()}
    for source, links in holding.items():
        path = _named(operations[source], "path")
        known = {name: f"$request.path.{name}" for name in path} | dict(links.gives)
        targets = {}
        for name, needed in needs.items():
            own = links.parameters.get(name, {})
            used = needed | (takes[name] & links.gives.keys())
            leads = name in links.sends or name in links.parameters or links.lead_to(used, path)
            if name != source and leads and needed <= {*known, *own}:
                found = {n: expression for n, expression in known.items() if n in used}
                targets[name] = _link(name, found | dict(own), links.sends.get(name))
        success = next(c for c in operations[source]["responses"] if c.startswith("2"))
        operations[source]["responses"][success]["links"] = targets


def _needed(operation: dict[str, Any]) -> set[str]:
    return _named(operation, "path") | _named(operation, "query", is_required=True)


def _named(operation: dict[str, Any], place: str, *, is_required: bool = False) -> set[str]:
    return {
        p["name"]
        for p in operation.get("parameters", ())
        if p["in"] == place and (p.get("required") or not is_required)
    }


def _link(name: str, parameters: dict[str, str], body: Any) -> dict[str, Any]:
    link = {"operationId": name, "parameters": parameters, "requestBody": body}
    return {field: value for field, value in link.items() if value}
