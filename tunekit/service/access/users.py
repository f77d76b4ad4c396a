"""Stores the users of the service."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from tunekit.errors import InvalidArgument, NameTaken, UnknownAccount
from tunekit.service.access.database import AccessDatabase
from tunekit.service.access.names import check_user_name
from tunekit.storages.http.account_messages import User, UserChange, UserNew
from tunekit.storages.sql.access_tables import invitations, sessions, users
from tunekit.storages.sql.schema import clock

_SHOWN = (
    users.c.name,
    users.c.is_operator,
    users.c.may_create,
    users.c.is_active,
    users.c.created,
)


class Users:
    """Creates, finds and changes users; blocks."""

    def __init__(self, database: AccessDatabase) -> None:
        self._db = database

    def create(self, new: UserNew, *, password: str | None = None) -> User:
        """Create a user.

        Args:
            new: name and rights.
            password: hash of their password, `None` until they set one.

        Raises:
            InvalidArgument: the name cannot be one.
            NameTaken: another user has it.
        """
        check_user_name(new.name)
        try:
            self._db.write(lambda c: insert_user(c, new, password))
        except IntegrityError:
            raise NameTaken(
                f"user {new.name!r}: the name or the subject is taken; choose another."
            ) from None
        return self.get(new.name)

    def get(self, name: str) -> User:
        """Return a user, or raise `UnknownAccount`."""
        row = self._db.read(lambda c: c.execute(select(*_SHOWN).where(_named(name))).first())
        if row is None:
            raise unknown_user(name)
        return _user(row)

    def page(self, after: str, limit: int) -> list[User]:
        """Return users by name after a name."""
        query = select(*_SHOWN).where(users.c.name > after).order_by(users.c.name).limit(limit)
        return [_user(row) for row in self._db.read(lambda c: c.execute(query).all())]

    def count(self) -> int:
        """Return how many users there are."""
        return self._db.read(lambda c: c.execute(select(func.count(users.c.id))).scalar_one())

    def change(self, name: str, change: UserChange) -> User:
        """Change what is given; disabling a user ends their sessions and tokens at once.

        Raises:
            UnknownAccount: there is no such user.
            InvalidArgument: no operator would be left.
        """
        given = {
            key: value
            for key in ("is_operator", "may_create", "is_active")
            if (value := getattr(change, key)) is not None
        }

        acting = select(users.c.id).where(users.c.is_operator, users.c.is_active)

        def work(c: Connection) -> None:
            user_id = id_of(c, name)
            had = c.execute(acting.where(users.c.id == user_id)).first() is not None
            if given:
                c.execute(update(users).where(users.c.id == user_id).values(**given))
            if change.is_active is False:
                c.execute(delete(sessions).where(sessions.c.user_id == user_id))
                c.execute(delete(invitations).where(invitations.c.user_id == user_id))
            if had and c.execute(acting.limit(1)).first() is None:
                raise InvalidArgument(
                    f"user {name!r} is the last operator; give another user that right first."
                )

        self._db.write(work)
        return self.get(name)

    def login_of(self, name: str) -> Any:
        """Return id, name and password hash of an active user, `None` if there is none."""
        query = select(users.c.id, users.c.name, users.c.password).where(
            _named(name), users.c.is_active
        )
        return self._db.read(lambda c: c.execute(query).first())

    def of_subject(self, subject: str) -> Any:
        """Return id, name and `is_active` of a subject of the OIDC provider, or `None`."""
        query = select(users.c.id, users.c.name, users.c.is_active).where(
            users.c.subject == subject
        )
        return self._db.read(lambda c: c.execute(query).first())

    def set_password(self, user_id: int, password: str, *, keep: str | None = None) -> None:
        """Store the hash of a password; it ends the user's sessions, besides that of a digest."""

        def work(c: Connection) -> None:
            c.execute(update(users).where(users.c.id == user_id).values(password=password))
            ended = delete(sessions).where(sessions.c.user_id == user_id)
            c.execute(ended if keep is None else ended.where(sessions.c.digest != keep))
            c.execute(delete(invitations).where(invitations.c.user_id == user_id))

        self._db.write(work)

    def rehash(self, user_id: int, password: str) -> None:
        """Store the hash of the same password with newer parameters."""
        change = update(users).where(users.c.id == user_id).values(password=password)
        self._db.note(lambda c: c.execute(change))


def insert_user(c: Connection, new: UserNew, password: str | None) -> int:
    """Insert a user and return the id."""
    made = insert(users).values(
        name=new.name, password=password, subject=new.subject, is_operator=new.is_operator,
        may_create=new.may_create, is_active=True, created=clock(),
    )  # fmt: skip
    return int(c.execute(made.returning(users.c.id)).scalar_one())


def id_of(c: Connection, name: str) -> int:
    """Return the id of a user, or raise `UnknownAccount`."""
    found = c.execute(select(users.c.id).where(_named(name))).scalar()
    if found is None:
        raise unknown_user(name)
    return int(found)


def unknown_user(name: str) -> UnknownAccount:
    """Return the error for a name that no user has."""
    return UnknownAccount(f"no user {name[:64]!r}; `tunekit user ls` lists them.")


def _named(name: str) -> Any:
    # No user has such a name, and PostgreSQL refuses texts with a NUL.
    return users.c.name == (name if name.isprintable() else "")


def _user(row: Any) -> User:
    return User(row.name, row.is_operator, row.may_create, row.is_active, row.created)
