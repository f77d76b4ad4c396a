"""What several routes read from a request, and how answers are cut to size."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import unquote

from fastapi import Depends, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import AfterValidator

from tunekit.errors import InvalidArgument
from tunekit.service.answers import written
from tunekit.service.idempotency import KeyedRequest, keyed_request, refuse_other
from tunekit.storages.http.messages import MAX_ANSWER_BYTES
from tunekit.storages.project import ProjectStorage

T = TypeVar("T")

MAX_ITEMS = 1000
"""Most items of one page."""

ITEMS = f"items-{secrets.token_hex(16)}"
"""Stands for the items in the JSON form of an answer; no text of a user can be the same."""

After = Annotated[int, Query(ge=0, le=2**63 - 1, description="Cursor of the last page.")]
Limit = Annotated[
    int,
    Query(ge=1, le=2**31, description="Most items; a page may hold fewer."),
    AfterValidator(lambda limit: min(limit, MAX_ITEMS)),
]


async def project_storage(request: Request, project: str) -> ProjectStorage:
    """Return the storage of the project in the path."""
    storage: ProjectStorage = request.app.state.service.of_project(project)
    return storage


InProject = Annotated[ProjectStorage, Depends(project_storage)]


async def storing_project(request: Request, project: str) -> ProjectStorage:
    """Return the storage of the project in the path, to which something is to be added.

    Raises:
        QuotaReached: the project may not store more.
    """
    await run_in_threadpool(request.app.state.service.quotas.check_storing, project)
    return await project_storage(request, project)


Storing = Annotated[ProjectStorage, Depends(storing_project)]


async def request_key(
    request: Request, idempotency_key: Annotated[str | None, Header(max_length=3000)] = None
) -> str | None:
    """Return the key that makes a repeated request harmless, `None` without one.

    Raises:
        RequestConflict: it was sent with another request.
    """
    if idempotency_key is None:
        return None
    database = request.app.state.service.storage.database
    await run_in_threadpool(refuse_other, database, await keyed_request(request))
    return unquote(idempotency_key)


Key = Annotated[str | None, Depends(request_key)]


async def keyed_once(request: Request) -> KeyedRequest | None:
    """Return the request, if it carries a key under which it is answered once."""
    return await keyed_request(request)


Keyed = Annotated[KeyedRequest | None, Depends(keyed_once)]


async def expected_number(if_match: Annotated[str, Header(max_length=40)]) -> int:
    """Return the number that the client has seen, from the header `If-Match`.

    Raises:
        InvalidArgument: it is not a number.
    """
    text = if_match.strip().strip('"')
    if not text.isascii() or not text.isdigit():
        raise InvalidArgument(
            f'If-Match {if_match[:40]!r}, expected a number in quotes, such as "3": the ETag of '
            "what was read."
        )
    return int(text)


Expected = Annotated[int, Depends(expected_number)]


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """The items that fit into one answer.

    Attributes:
        items: at least one, if there are any.
        texts: the JSON form of each.
        is_cut: whether some were left out.
    """

    items: tuple[T, ...]
    texts: tuple[str, ...]
    is_cut: bool

    def reply(self, doc: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
        """Return an answer with the items in the place of `ITEMS` in its JSON form."""
        return Response(filled(doc, self.texts), 200, headers, "application/json")


def page_of(
    items: Iterable[T],
    reserved: int = 2000,
    *,
    limit: int | None = None,
    write: Callable[[T], str] | None = None,
    beside: Callable[[T], int] = lambda item: 0,
) -> Page[T]:
    """Return the items that fit into one answer, each encoded once.

    An item that is longer than an answer may be is a page of its own: it cannot be left out, or a
    reader would never get past it.

    Args:
        items: records.
        reserved: bytes of the answer besides the items.
        limit: maximum number of items.
        write: returns the JSON form of an item; by default that of a record.
        beside: returns the bytes that an item adds to the answer besides its text.
    """
    write = write or written
    kept: list[T] = []
    texts: list[str] = []
    size = reserved
    for item in items:
        if len(kept) == limit:
            return Page(tuple(kept), tuple(texts), is_cut=True)
        text = write(item)
        size += len(text) + 1 + beside(item)
        if kept and size > MAX_ANSWER_BYTES:
            return Page(tuple(kept), tuple(texts), is_cut=True)
        kept.append(item)
        texts.append(text)
    return Page(tuple(kept), tuple(texts), is_cut=False)


def listed(
    name: str,
    items: Iterable[T],
    limit: int | None = None,
    *,
    cursor: Callable[[T], Any] | None = None,
) -> Response:
    """Return a page of items under a name, one of them beyond the limit if there are more.

    The answer says whether there are more; with `cursor`, as where the next page begins.
    """
    page = page_of(items, limit=limit)
    if cursor is None:
        return page.reply({name: ITEMS, "more": page.is_cut})
    return page.reply({name: ITEMS, "after": cursor(page.items[-1]) if page.is_cut else None})


def filled(doc: dict[str, Any], texts: Iterable[str]) -> str:
    """Return a document as JSON, with a list of JSON texts in the place of `ITEMS`."""
    content = json.dumps(doc, separators=(",", ":"))
    return content.replace(f'"{ITEMS}"', f"[{','.join(texts)}]", 1)
