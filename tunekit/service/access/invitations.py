"""Stores one-time links with which people set their passwords."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from tunekit.errors import InvalidArgument, NotAuthenticated
from tunekit.service.access.database import AccessDatabase
from tunekit.service.access.names import check_user_name
from tunekit.service.access.secret_texts import INVITATION, digest_of, new_secret
from tunekit.service.access.users import id_of, insert_user
from tunekit.storages.http.account_messages import Invitation, UserNew
from tunekit.storages.sql.access_tables import invitations, sessions, users
from tunekit.storages.sql.schema import clock

SETUP_S = 3600.0
"""Seconds for which the link of the first start is valid."""

INVITED_S = 3 * 86400.0
"""Seconds for which a user may set their first password, or a new one for a lost one."""


class Invitations:
    """Makes and redeems one-time links; blocks."""

    def __init__(self, database: AccessDatabase) -> None:
        self._db = database

    def setup(self) -> Invitation | None:
        """Return a link that makes the first operator, `None` if there is a user already."""
        secret = new_secret(INVITATION)

        def work(c: Connection) -> float | None:
            if c.execute(select(users.c.id).limit(1)).first() is not None:
                return None
            return _insert(c, secret, None, SETUP_S)

        expires = self._db.write(work)
        return None if expires is None else Invitation("", _path(secret), expires)

    def invite(self, name: str) -> Invitation:
        """Return a link with which a user sets their password; an older one ends.

        Raises:
            UnknownAccount: there is no such user.
        """
        secret = new_secret(INVITATION)

        def work(c: Connection) -> float:
            user_id = id_of(c, name)
            c.execute(delete(invitations).where(invitations.c.user_id == user_id))
            return _insert(c, secret, user_id, INVITED_S)

        return Invitation(name, f"{_path(secret)},{name}", self._db.write(work))

    def is_valid(self, secret: str) -> bool:
        """Return whether a link can still be used, before a password is hashed for it."""
        query = select(invitations.c.digest).where(*_valid(secret))
        return self._db.read(lambda c: c.execute(query).first()) is not None

    def redeem(self, secret: str, password: str, name: str | None) -> tuple[int, str]:
        """Use a link up: set the user's password, or make the first operator.

        Args:
            secret: of the link.
            password: hash of the password.
            name: of the first operator; for another link `None`, or the name of its user.

        Returns:
            Id and name of the user.

        Raises:
            NotAuthenticated: the link is unknown, used or has expired.
            InvalidArgument: the name cannot be one.
        """

        def work(c: Connection) -> tuple[int, str]:
            # The row goes first: of two that redeem it at the same time, one finds none.
            used = delete(invitations).where(*_valid(secret)).returning(invitations.c.user_id)
            row = c.execute(used).first()
            if row is None:
                raise invalid_link()
            if row.user_id is None:
                return _first_operator(c, name or "", password)
            changed = update(users).where(users.c.id == row.user_id, users.c.is_active)
            user = c.execute(changed.values(password=password).returning(users.c.name)).scalar()
            if user is None:
                raise invalid_link()
            if name not in (None, user):
                raise InvalidArgument(f"the link is not for user {name!r}; leave the name out.")
            c.execute(delete(sessions).where(sessions.c.user_id == row.user_id))
            return row.user_id, user

        return self._db.write(work)


def invalid_link() -> NotAuthenticated:
    """Return the error for a link that cannot be used."""
    return NotAuthenticated(
        "the link is unknown, was used or has expired; ask an operator for another, or restart "
        "the service for one if it has no user yet."
    )


def _first_operator(c: Connection, name: str, password: str) -> tuple[int, str]:
    check_user_name(name)
    # Replicas may have printed a link each. Whoever deletes all of them is first.
    c.execute(delete(invitations).where(invitations.c.user_id.is_(None)))
    if c.execute(select(users.c.id).limit(1)).first() is not None:
        raise invalid_link()
    new = replace(UserNew(name), is_operator=True, may_create=True)
    return insert_user(c, new, password), name


def _insert(c: Connection, secret: str, user_id: int | None, valid_s: float) -> float:
    c.execute(delete(invitations).where(invitations.c.expires <= clock()))
    made = insert(invitations).values(
        digest=digest_of(secret), user_id=user_id, expires=clock() + valid_s
    )
    return float(c.execute(made.returning(invitations.c.expires)).scalar_one())


def _valid(secret: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return invitations.c.digest == digest_of(secret), invitations.c.expires > clock()


def _path(secret: str) -> str:
    # In the fragment: browsers send it to no server and no log.
    return f"/setup#{secret}"
