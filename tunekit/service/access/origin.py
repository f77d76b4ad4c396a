"""Who sends the request that runs now, for what is written on its behalf."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

import structlog
from fastapi import Request

from tunekit.service.access.address_limits import address_of


@dataclass(frozen=True, slots=True)
class RequestOrigin:
    """Where a change comes from; empty texts where it is not known."""

    principal: str = ""
    address: str = ""
    request_id: str = ""


UNKNOWN = RequestOrigin()
ORIGIN: ContextVar[RequestOrigin] = ContextVar("tunekit_origin", default=UNKNOWN)
"""Of the request that this task serves."""


def origin_of(request: Request, principal: str) -> RequestOrigin:
    """Return where a request comes from."""
    request_id = str(structlog.contextvars.get_contextvars().get("request_id", ""))
    return RequestOrigin(principal, address_of(request.scope), request_id)
