"""Reads what a token or a session permits."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from sqlalchemy import Connection, Select, select, update

from tunekit.errors import StorageError, StorageUnreachable
from tunekit.service.access.database import AccessDatabase
from tunekit.service.access.roles import Role
from tunekit.storages.sql.access_tables import members, projects, sessions, tokens, users
from tunekit.storages.sql.schema import clock

NOTED_S = 60.0
"""Seconds between two writes of when a token was last used."""

DEFAULT_PROJECT = "default"

log = logging.getLogger("tunekit.service")


@dataclass(frozen=True, slots=True)
class Grant:
    """What the owner of a token or session may do.

    Attributes:
        name: of the user, or label of the project's token.
        kind: whether a person's or a machine's.
        cap: most that the token allows; `OPERATOR` for a session.
        roles: roles by project, already capped; of an operator, all projects.
        only: the one project that the token opens.
        user_id: of the person; `None` for a machine.
        token_id: of the token; `None` for a session.
        is_operator: whether the person runs the service.
        may_create: whether the person may create projects.
        csrf: what unsafe requests of the session have to carry; empty for a token.
    """

    name: str
    kind: Literal["user", "machine"]
    cap: Role
    roles: Mapping[str, Role] = field(default_factory=dict)
    only: str | None = None
    user_id: int | None = None
    token_id: int | None = None
    is_operator: bool = False
    may_create: bool = False
    csrf: str = field(default="", repr=False)

    @property
    def is_full(self) -> bool:
        """Whether it allows all that its owner may do: a session, or a token of `login`."""
        return self.kind == "user" and self.cap is Role.OPERATOR and self.only is None

    @property
    def default_project(self) -> str:
        """Project of a storage URL that names none."""
        if DEFAULT_PROJECT in self.roles:
            return DEFAULT_PROJECT
        return min(self.roles, default=DEFAULT_PROJECT)


_USER = (users.c.name, users.c.is_operator, users.c.may_create)
_TOKEN: Select[Any] = (
    select(
        tokens.c.id,
        tokens.c.label,
        tokens.c.role,
        tokens.c.user_id,
        tokens.c.project_id,
        projects.c.name.label("project"),
        users.c.is_active,
        (clock() - tokens.c.last_used).label("unused_s"),
        *_USER,
    )
    .join_from(tokens, users, users.c.id == tokens.c.user_id, isouter=True)
    .join(projects, projects.c.id == tokens.c.project_id, isouter=True)
    .where(tokens.c.revoked.is_(None))
    .where(tokens.c.expires.is_(None) | (tokens.c.expires > clock()))
)
_SESSION: Select[Any] = (
    select(sessions.c.user_id, sessions.c.csrf, users.c.is_active, *_USER)
    .join_from(sessions, users, users.c.id == sessions.c.user_id)
    .where(sessions.c.expires > clock())
)


class Grants:
    """Looks up grants in the database; blocks."""

    def __init__(self, database: AccessDatabase) -> None:
        self._db = database

    def of_token(self, digest: str) -> Grant | None:
        """Return what a token permits, `None` if it is unknown, expired, revoked or disabled."""
        query = _TOKEN.where(tokens.c.digest == digest)
        grant, is_noted = self._db.read(lambda c: _token_grant(c, c.execute(query).first()))
        if grant is not None and not is_noted:
            self._note_use(grant)
        return grant

    def of_session(self, digest: str) -> Grant | None:
        """Return what a session permits, `None` if it is unknown, expired or disabled."""
        query = _SESSION.where(sessions.c.digest == digest)

        def work(c: Connection) -> Grant | None:
            row = c.execute(query).first()
            return _user_grant(c, row, csrf=row.csrf) if row and row.is_active else None

        return self._db.read(work)

    def _note_use(self, grant: Grant) -> None:
        change = update(tokens).where(tokens.c.id == grant.token_id).values(last_used=clock())
        try:
            self._db.note(lambda c: c.execute(change))
        except (StorageError, StorageUnreachable) as error:  # readers go on with a full disk
            log.warning("cannot store when a token was last used: %s", error)


def _token_grant(c: Connection, row: Any) -> tuple[Grant | None, bool]:
    """Return the grant of a token's row, and whether its last use was written lately."""
    if row is None or (row.project_id is not None and row.project is None):
        return None, True
    is_noted = row.unused_s is not None and row.unused_s < NOTED_S
    cap = Role[row.role.upper()]
    if row.user_id is None:
        roles = MappingProxyType({row.project: cap})
        return Grant(row.label, "machine", cap, roles, row.project, token_id=row.id), is_noted
    if not row.is_active:
        return None, True
    return _user_grant(c, row, cap=cap, only=row.project, token_id=row.id), is_noted


def _user_grant(
    c: Connection,
    row: Any,
    *,
    cap: Role = Role.OPERATOR,
    only: str | None = None,
    token_id: int | None = None,
    csrf: str = "",
) -> Grant:
    held = members.c.user_id == row.user_id
    joined = select(projects.c.name, members.c.role).join_from(
        projects, members, (members.c.project_id == projects.c.id) & held, isouter=row.is_operator
    )
    roles = {
        name: min(cap, Role.OPERATOR if row.is_operator else Role[role.upper()])
        for name, role in c.execute(joined)
        if only is None or name == only
    }
    return Grant(
        row.name, "user", cap, MappingProxyType(roles), only, row.user_id, token_id,
        row.is_operator, row.may_create or row.is_operator, csrf,
    )  # fmt: skip
