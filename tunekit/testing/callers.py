"""Makes one caller of every kind for tests of permissions, and says what each may do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import update

from tunekit.service.access.roles import Role
from tunekit.service.access.secret_texts import digest_of
from tunekit.storages.sql.access_tables import tokens
from tunekit.storages.sql.database import Database
from tunekit.storages.sql.schema import clock
from tunekit.testing.team import Team

PROJECT, OTHER = "vision", "speech"


@dataclass(frozen=True, slots=True)
class RequestSender:
    """Somebody who sends requests.

    Attributes:
        name: of the kind of caller.
        token: what they send; `None` for nothing.
        role: in `PROJECT`; `None` for no member of it.
        is_known: whether the service knows them.
        is_operator: whether they run the service.
        is_full: whether no scope narrows their token.
        may_create: whether they may create projects.
    """

    name: str
    token: str | None
    role: Role | None = None
    is_known: bool = True
    is_operator: bool = False
    is_full: bool = True
    may_create: bool = False

    def outcome(self, operation: Mapping[str, Any], path: str) -> str:
        """Return "401", "403", "404" or "passes" for an operation of the OpenAPI document."""
        role = Role[operation["x-role"].upper()]
        permission = operation.get("x-permission")
        if role is Role.ANYONE:
            return "passes"
        if not self.is_known:
            return "401"
        if "{project}" in path:
            if self.role is None:
                return "404"
            held = self.role
        else:
            held = Role.OPERATOR if self.is_operator and self.is_full else Role.CALLER
        if held < role or (permission is not None and not self.is_full):
            return "403"
        if permission == "create projects" and not self.may_create:
            return "403"
        return "passes"


def all_callers(team: Team, database: Database) -> list[RequestSender]:
    """Create two projects, and return a caller of every kind."""
    team.project(PROJECT)
    team.project(OTHER)
    callers = [RequestSender("anonymous", None, is_known=False)]
    for role in ("viewer", "worker", "editor", "admin"):
        team.member(role, PROJECT, role)
        callers.append(RequestSender(role, team.token(role), Role[role.upper()]))
    team.member("outsider", OTHER, "admin")
    team.accounts.projects.set_role(OTHER, "admin", "admin")
    team.user("creator", may_create=True)
    team.user("operator", is_operator=True)
    narrow = team.token("operator", role="viewer")
    expired, revoked = team.token("admin"), team.token("admin")
    database.write(lambda c: c.execute(_of(expired).values(expires=clock() - 1)))
    database.write(lambda c: c.execute(_of(revoked).values(revoked=clock())))
    return [
        *callers,
        RequestSender("outsider", team.token("outsider")),
        RequestSender("creator", team.token("creator"), may_create=True),
        RequestSender(
            "operator", team.token("operator"), Role.OPERATOR, is_operator=True, may_create=True
        ),
        RequestSender(
            "operator's viewer token", narrow, Role.VIEWER, is_operator=True, is_full=False
        ),
        RequestSender(
            "admin's token of another project", team.token("admin", project=OTHER), is_full=False
        ),
        RequestSender("machine", team.machine(PROJECT), Role.WORKER, is_full=False),
        RequestSender("machine of another project", team.machine(OTHER, "admin"), is_full=False),
        RequestSender("expired token", expired, is_known=False),
        RequestSender("revoked token", revoked, is_known=False),
    ]


def _of(token: str) -> Any:
    return update(tokens).where(tokens.c.digest == digest_of(token))
