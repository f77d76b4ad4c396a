"""Gives every request an id, logs it once it is answered, and counts it."""

from __future__ import annotations

import logging
import re
import time
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import structlog
from starlette.types import Message, Receive, Scope, Send

from tunekit.service.metrics import Metrics
from tunekit.service.middleware import Middleware

HEADER = b"x-request-id"
_VALID = re.compile(rb"[\w.-]{1,64}")
_NAMED = {"project": "project", "study_id": "study", "number": "trial"}
_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})

log = logging.getLogger("tunekit.service")


@dataclass(eq=False)
class RequestLog(Middleware):
    """Wraps an application; answers carry the request's id in `X-Request-ID`.

    Attributes:
        metrics: where to count requests.
    """

    metrics: Metrics

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        request_id = _id_of(scope)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        began, status = time.perf_counter(), 500

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message.setdefault("headers", []).append((HEADER, request_id.encode()))
            await send(message)

        try:
            await self.app(scope, receive, answer)
        finally:
            self._note(scope, status, time.perf_counter() - began)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unknown")
        self.metrics.note_request(scope["method"], route, status, seconds)
        level = logging.WARNING if status >= 500 else logging.INFO
        level = logging.DEBUG if route in _QUIET else level
        if log.isEnabledFor(level):
            line = {"method": scope["method"], "route": route, "status": status}
            ms = round(1000 * seconds, 2)
            log.log(level, "request", extra={**line, "ms": ms, **_named(scope)})


def _id_of(scope: Scope) -> str:
    """Return the id that a proxy or client has given the request, or a new one."""
    given: bytes = next((v for k, v in scope["headers"] if k == HEADER), b"")
    return given.decode() if _VALID.fullmatch(given) else uuid4().hex


def _named(scope: Scope) -> dict[str, Any]:
    """Return what the request is about: project, study, trial, worker and user."""
    found = {
        name: scope.get("path_params", {})[key]
        for key, name in _NAMED.items()
        if key in scope.get("path_params", {})
    }
    state = scope.get("state", {})
    if worker := state.get("worker"):
        found["worker"] = worker
    if user := getattr(state.get("principal"), "name", ""):
        found["user"] = user
    return found
