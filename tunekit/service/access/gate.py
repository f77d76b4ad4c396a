"""Decides whether a request may pass."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from fastapi import Request

from tunekit.service.access.roles import Role


@dataclass(frozen=True, slots=True)
class Principal:
    """Who sends a request.

    Attributes:
        name: of the account or of the project's machine token; empty without accounts.
        project: project of a storage URL that names none.
    """

    name: str = ""
    project: str = "default"


class Gate(Protocol):
    """Lets a request pass, or raises."""

    async def admit(self, request: Request, role: Role, project: str | None) -> Principal:
        """Return who sends the request, if they have the role in the project.

        Raises:
            NotAuthenticated: the service does not know them.
            NotAllowed: their role in the project, or their token's scope, is too low.
            UnknownProject: they have no role in the project, or there is none of this name.
        """
        ...


class OpenGate:
    """Lets everybody do everything, for one person's service on a loopback address."""

    async def admit(self, request: Request, role: Role, project: str | None) -> Principal:
        """Return the nameless principal."""
        return Principal()


def needs(role: Role) -> Callable[[Request], Awaitable[Principal]]:
    """Return a dependency that admits callers with the role in the project of the path."""

    async def admitted(request: Request) -> Principal:
        gate: Gate = request.app.state.service.gate
        principal = await gate.admit(request, role, request.path_params.get("project"))
        request.state.principal = principal
        return principal

    return admitted
