"""Answers a request that is repeated with the same `Idempotency-Key` as it was answered first.

The answer is stored in the transaction of the change itself, so that neither a lost answer nor a
crash in between can apply a request twice. A key belongs to a user in a project for 24 hours.

Reference:
    IETF draft-ietf-httpapi-idempotency-key-header, sections 2.4 to 2.7.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote

from fastapi import Request
from sqlalchemy import Connection, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from tunekit.errors import RequestConflict
from tunekit.storages.checks import check_key
from tunekit.storages.sql.database import Database
from tunekit.storages.sql.schema import clock
from tunekit.storages.sql.service_tables import idempotency

KEPT_S = 24 * 3600.0
"""Seconds for which a key and its answer are kept."""

_TAKE = {
    name: insert(idempotency).values(created=clock()).on_conflict_do_nothing()
    for name, insert in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
}


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """A request with a key.

    Attributes:
        owner: digest of the project and the user that the key belongs to.
        key: as sent.
        fingerprint: digest of all that makes another request: method, path, query and body.
    """

    owner: str
    key: str
    fingerprint: str


async def keyed_request(request: Request, *, content: str | None = None) -> KeyedRequest | None:
    """Return the key of a request with what it stands for, `None` without a key.

    Args:
        request: an admitted request.
        content: digest of a body that was read as a stream; by default the body is read here.

    Raises:
        InvalidArgument: no database can store the key.
    """
    header = request.headers.get("idempotency-key")
    if header is None:
        return None
    key = unquote(header)
    check_key(key)
    project = request.path_params.get("project", "")
    caller = request.state.principal
    owner = _digest(project, caller.kind, caller.name)
    body = hashlib.sha256(await request.body()).hexdigest() if content is None else content
    url = request.url
    return KeyedRequest(owner, key, _digest(request.method, url.path, url.query, body))


def answer_once(
    database: Database, keyed: KeyedRequest | None, work: Callable[[Connection], str]
) -> str:
    """Return `work(connection)`, committed, or what it returned when the key came first.

    Args:
        database: where the change is made.
        keyed: the request; without a key `work` runs each time.
        work: makes the change in the transaction that it is given; returns the answer.

    Raises:
        RequestConflict: the key was sent with another request.
    """
    if keyed is None:
        return database.write_once(work)

    def once(connection: Connection) -> str:
        if (known := _known(connection, keyed)) is not None:
            return known
        answer = work(connection)
        this = (idempotency.c.owner == keyed.owner) & (idempotency.c.key == keyed.key)
        connection.execute(update(idempotency).where(this).values(answer=answer))
        return answer

    return database.write(once)


def refuse_other(database: Database, keyed: KeyedRequest | None) -> None:
    """Refuse a key that was sent with another request; the caller answers repetitions itself.

    For changes whose own transaction knows the key, as those of a storage do.

    Raises:
        RequestConflict: the key was sent with another request.
    """
    if keyed is not None:
        database.write(lambda connection: _known(connection, keyed))


def _known(connection: Connection, keyed: KeyedRequest) -> str | None:
    """Return the stored answer, `None` after taking the key for this request."""
    old = idempotency.c.created < clock() - KEPT_S
    connection.execute(delete(idempotency).where(old))
    row = {"owner": keyed.owner, "key": keyed.key, "fingerprint": keyed.fingerprint}
    # A request with the same key that is under way makes PostgreSQL wait here for its end.
    connection.execute(_TAKE[connection.dialect.name], row)
    this = (idempotency.c.owner == keyed.owner) & (idempotency.c.key == keyed.key)
    found = connection.execute(
        select(idempotency.c.fingerprint, idempotency.c.answer).where(this)
    ).one()
    if found.fingerprint != keyed.fingerprint:
        raise RequestConflict(
            f"Idempotency-Key {keyed.key!r} was already sent with another request; send a new key "
            "with a new request."
        )
    answer: str | None = found.answer
    return answer


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
