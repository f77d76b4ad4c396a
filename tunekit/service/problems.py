"""Turns errors into problem documents.

Reference:
    RFC 9457, Problem Details for HTTP APIs.
"""

from __future__ import annotations

import json
import logging
import math
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from tunekit import errors

DOCS = "https://tunekit.readthedocs.io/errors.html"
MEDIA_TYPE = "application/problem+json"

STATUS: dict[type[errors.TunekitError], int] = {
    errors.InvalidSpace: 422,
    errors.UnknownParameter: 422,
    errors.InvalidParams: 422,
    errors.InvalidArgument: 422,
    errors.InvalidResult: 422,
    errors.TrialConflict: 409,
    errors.LeaseLost: 409,
    errors.UnknownTrial: 404,
    errors.SpaceExhausted: 409,
    errors.UnknownCheckpoint: 404,
    errors.UnknownStudy: 404,
    errors.StudyExists: 409,
    errors.NoCompleteTrial: 409,
    errors.StorageUnreachable: 503,
    errors.NotAuthenticated: 401,
    errors.NotAllowed: 403,
    errors.UnknownProject: 404,
    errors.QuotaReached: 429,
    errors.ServiceBusy: 503,
    errors.RequestConflict: 422,
    errors.NameTaken: 409,
    errors.UnknownAccount: 404,
    errors.UnknownJob: 404,
}
"""Status of each class; a class without an entry is an error of the service, 500."""

_HIDDEN = "the service failed; its log has the details under this request id."
log = logging.getLogger("tunekit.service")


def problem(error: errors.TunekitError) -> Response:
    """Return the answer for an error: its code, its sentence, and when to try again."""
    status = next((STATUS[c] for c in type(error).__mro__ if c in STATUS), 500)
    headers = {}
    after = getattr(error, "retry_after", None) if status in (429, 503) else None
    if status == 503 and after is None:
        after = 1.0
    if after is not None:
        headers["Retry-After"] = str(math.ceil(after))
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return document(
        status, error.message, headers, code=error.code, exit_status=error.exit_status,
        title=type(error).__name__,
    )  # fmt: skip


def add_problem_handlers(app: FastAPI) -> None:
    """Make every error answer of the application a problem document."""

    @app.exception_handler(errors.TunekitError)
    async def known(request: Request, error: errors.TunekitError) -> Response:
        answer = problem(error)
        if answer.status_code >= 500:
            log.error("%s %s: %s", request.method, request.url.path, error)
        return answer

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return problem(errors.InvalidArgument(f"{where}: {first['msg']}."))

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        detail = f"{request.method} {request.url.path}: {error.detail}."
        return document(error.status_code, detail, dict(error.headers or {}))

    @app.exception_handler(Exception)
    async def unknown(request: Request, error: Exception) -> Response:
        log.exception("%s %s failed", request.method, request.url.path, exc_info=error)
        return document(500, _HIDDEN, {}, code=errors.TunekitError.code, exit_status=1)


def document(status: int, detail: str, headers: dict[str, str], **more: Any) -> Response:
    """Return the answer for a refusal without a class of ours: a status and a sentence."""
    doc = {"title": HTTPStatus(status).phrase, "status": status, "detail": detail, **more}
    if code := more.get("code"):
        doc["type"] = f"{DOCS}#{str(code).lower()}"
    return Response(json.dumps(doc), status, headers, MEDIA_TYPE)
