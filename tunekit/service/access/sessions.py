"""Stores the logins of browsers; of each only its digest."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import Connection, delete, insert

from tunekit.service.access.database import AccessDatabase
from tunekit.service.access.secret_texts import SESSION, digest_of, new_secret
from tunekit.storages.sql.access_tables import sessions
from tunekit.storages.sql.schema import clock

SESSION_S = 12 * 3600.0
"""Seconds after which somebody has to log in again, however active they are."""


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session with its secrets; `expires` in seconds since 1970."""

    secret: str = field(repr=False)
    csrf: str = field(repr=False)
    expires: float


class Sessions:
    """Begins and ends sessions; blocks."""

    def __init__(self, database: AccessDatabase) -> None:
        self._db = database

    def begin(self, user_id: int, *, instead_of: str | None = None) -> NewSession:
        """Return a new session; never an older one, which somebody else may know.

        Args:
            user_id: whose.
            instead_of: secret of a session of the same browser, which ends.
        """
        secret, csrf = new_secret(SESSION), new_secret("")

        def work(c: Connection) -> float:
            c.execute(delete(sessions).where(sessions.c.expires <= clock()))
            if instead_of is not None:
                c.execute(delete(sessions).where(sessions.c.digest == digest_of(instead_of)))
            made = insert(sessions).values(
                digest=digest_of(secret), user_id=user_id, csrf=csrf, created=clock(),
                expires=clock() + SESSION_S,
            )  # fmt: skip
            return float(c.execute(made.returning(sessions.c.expires)).scalar_one())

        return NewSession(secret, csrf, self._db.write(work))

    def end(self, secret: str) -> None:
        """End a session, if there is such a one."""
        ended = delete(sessions).where(sessions.c.digest == digest_of(secret))
        self._db.write(lambda c: c.execute(ended))
