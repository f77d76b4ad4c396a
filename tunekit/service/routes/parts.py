"""What several routes read from a request, and how answers are cut to size."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, TypeVar
from urllib.parse import unquote

from fastapi import Depends, Header, Query, Request
from fastapi.concurrency import run_in_threadpool

from tunekit.errors import InvalidArgument
from tunekit.service.idempotency import keyed_request, refuse_other
from tunekit.storages.codec import to_dict
from tunekit.storages.http.messages import MAX_ANSWER_BYTES
from tunekit.storages.project import ProjectStorage

T = TypeVar("T")

MAX_ITEMS = 1000
"""Most items of one page."""

After = Annotated[int, Query(ge=0, le=2**63 - 1, description="Cursor of the last page.")]
Limit = Annotated[int, Query(ge=1, le=2**31, description="Most items; a page may hold fewer.")]
StudyId = Annotated[int, "id of a study"]


def project_storage(request: Request, project: str) -> ProjectStorage:
    """Return the storage of the project in the path."""
    storage: ProjectStorage = request.app.state.service.of_project(project)
    return storage


InProject = Annotated[ProjectStorage, Depends(project_storage)]


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


def expected_number(if_match: Annotated[str, Header(max_length=40)]) -> int:
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


def page_of(items: Iterable[T], reserved: int = 2000) -> tuple[tuple[T, ...], bool]:
    """Return the items that fit into one answer, at least one, and whether some were left out.

    Args:
        items: records.
        reserved: bytes of the answer besides the items.
    """
    kept: list[T] = []
    size = reserved
    for item in items:
        size += _size(item)
        if kept and size > MAX_ANSWER_BYTES:
            return tuple(kept), True
        kept.append(item)
    return tuple(kept), False


def _size(record: Any) -> int:
    return len(json.dumps(to_dict(record), separators=(",", ":"))) + 1


def limited(items: Sequence[T], limit: int) -> tuple[tuple[T, ...], bool]:
    """Return the page of items of a reading that asked for one more than `limit`."""
    kept, is_cut = page_of(items[:limit])
    return kept, is_cut or len(items) > limit
