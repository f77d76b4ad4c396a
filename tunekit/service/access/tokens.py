"""Stores the tokens of people and of projects' machines; of each only its digest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, insert, select, update

from tunekit.checks import check_whole
from tunekit.errors import UnknownAccount
from tunekit.service.access.database import AccessDatabase
from tunekit.service.access.names import check_label
from tunekit.service.access.projects import project_id_of
from tunekit.service.access.secret_texts import TOKEN, digest_of, new_secret
from tunekit.storages.http.account_messages import IssuedToken, MachineTokenNew, Token, TokenNew
from tunekit.storages.sql.access_tables import projects, tokens
from tunekit.storages.sql.schema import clock

MAX_DAYS = 3650
DAY_S = 86400.0


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose tokens: of a user, or of a project for its machines."""

    user_id: int | None = None
    project: str | None = None


class Tokens:
    """Issues, lists and revokes tokens; blocks."""

    def __init__(self, database: AccessDatabase) -> None:
        self._db = database

    def issue(self, owner: Owner, new: TokenNew | MachineTokenNew) -> IssuedToken:
        """Return a new token with its secret, which is stored nowhere.

        Raises:
            InvalidArgument: label or days are not such.
            UnknownProject: there is no such project.
        """
        check_label(new.label)
        check_whole(new.days, "days", low=1, high=MAX_DAYS, optional=True)
        only = new.project if isinstance(new, TokenNew) else owner.project
        secret = new_secret(TOKEN)

        def work(c: Connection) -> int:
            made = insert(tokens).values(
                digest=digest_of(secret),
                label=new.label,
                user_id=owner.user_id,
                project_id=None if only is None else project_id_of(c, only),
                role=new.role,
                created=clock(),
                expires=None if new.days is None else clock() + new.days * DAY_S,
            )
            return int(c.execute(made.returning(tokens.c.id)).scalar_one())

        token_id = self._db.write(work)
        return IssuedToken(self.page(owner, token_id - 1, 1)[0], secret)

    def page(self, owner: Owner, after: int, limit: int) -> list[Token]:
        """Return the tokens of an owner that are not revoked, by id, after an id."""
        query = (
            select(tokens, projects.c.name.label("project"))
            .join_from(tokens, projects, projects.c.id == tokens.c.project_id, isouter=True)
            .where(tokens.c.id > after, tokens.c.revoked.is_(None))
            .order_by(tokens.c.id)
            .limit(limit)
        )

        def work(c: Connection) -> list[Any]:
            return list(c.execute(query.where(_of(c, owner))).all())

        return [_token(row) for row in self._db.read(work)]

    def revoke(self, owner: Owner, token_id: int) -> None:
        """End a token.

        Raises:
            UnknownAccount: the owner has no such token.
        """

        def work(c: Connection) -> None:
            change = update(tokens).where(tokens.c.id == token_id, _of(c, owner))
            change = change.where(tokens.c.revoked.is_(None)).values(revoked=clock())
            if not c.execute(change).rowcount:
                raise UnknownAccount(f"no token {token_id}; `tunekit token ls` lists them.")

        self._db.write(work)


def _of(c: Connection, owner: Owner) -> ColumnElement[bool]:
    if owner.project is None:
        return tokens.c.user_id == owner.user_id
    return tokens.c.user_id.is_(None) & (tokens.c.project_id == project_id_of(c, owner.project))


def _token(row: Any) -> Token:
    return Token(row.id, row.label, row.role, row.created, row.project, row.expires, row.last_used)
