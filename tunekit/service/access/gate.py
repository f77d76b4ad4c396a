"""Decides whether a request may pass."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from fastapi import Request

from tunekit.errors import NotAllowed
from tunekit.service.access.grants import Grant
from tunekit.service.access.origin import ORIGIN, origin_of
from tunekit.service.access.rates import RateLimits
from tunekit.service.access.roles import Role

Permission = Literal["full login", "create projects"]
"""What a route may need besides a role: a login that no scope of a token narrows, or a right."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who sends a request.

    Attributes:
        name: of the account or of the project's machine token; empty without accounts.
        project: project of a storage URL that names none.
        kind: whether a person, a machine with a project's token, somebody without a token, or
            anybody where the service runs without accounts.
        role: in the project of the path; outside of projects OPERATOR, CALLER or ANYONE.
        grant: all that the token or session permits; `None` for the last two kinds.
    """

    name: str = ""
    project: str = "default"
    kind: Literal["user", "machine", "anonymous", "open"] = "open"
    role: Role = Role.OPERATOR
    grant: Grant | None = field(default=None, repr=False)


class Gate(Protocol):
    """Lets a request pass, or raises."""

    async def admit(self, request: Request, role: Role, project: str | None) -> Principal:
        """Return who sends the request, if they have the role in the project.

        Raises:
            NotAuthenticated: the service does not know them.
            NotAllowed: their role in the project, or their token's scope, is too low.
            UnknownProject: they have no role in the project, or it does not exist.
        """
        ...


class OpenGate:
    """Lets everybody do everything, for one person's service on a loopback address."""

    async def admit(self, request: Request, role: Role, project: str | None) -> Principal:
        """Return the nameless principal."""
        return Principal()


def needs(
    role: Role, permission: Permission | None = None
) -> Callable[[Request], Awaitable[Principal]]:
    """Return a dependency that admits callers with the role in the project of the path.

    Args:
        role: least role.
        permission: what else the caller needs.
    """

    async def admitted(request: Request) -> Principal:
        gate: Gate = request.app.state.service.gate
        principal = await gate.admit(request, role, request.path_params.get("project"))
        if permission is not None and principal.grant is not None:
            check_permission(principal.grant, permission)
        request.state.principal = principal
        origin = origin_of(request, principal.name)
        ORIGIN.set(origin)
        rates: RateLimits = request.app.state.service.rates
        if role is Role.ANYONE and request.method == "POST":
            rates.count_login(origin.address)
        elif principal.name:
            rates.count_caller(principal.name)
        return principal

    return admitted


def check_permission(grant: Grant, permission: Permission) -> None:
    """Check what a request needs besides a role.

    Raises:
        NotAllowed: the token is narrower than its owner, or the owner may not create projects.
    """
    if not grant.is_full:
        raise NotAllowed(
            "a token with a scope cannot do this, so that it cannot widen its scope; log in as a "
            "person with `tunekit login`."
        )
    if permission == "create projects" and not grant.may_create:
        raise NotAllowed(
            f"user {grant.name!r} may not create projects; ask an operator for the project, or "
            "for the permission."
        )
