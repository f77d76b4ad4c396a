"""Declares routes: their role, their body and their answer, for the code and for OpenAPI alike.

Bodies and answers are the records that clients use too, read and written by the one codec.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from dataclasses import asdict
from functools import wraps
from typing import Annotated, Any, TypeVar, cast

from fastapi import APIRouter, Depends, Request, Response

from tunekit.errors import InvalidArgument
from tunekit.service.access.gate import Permission, needs
from tunekit.service.access.roles import Role
from tunekit.service.answers import written
from tunekit.service.links import KEY, Links
from tunekit.service.schemas import schema_of
from tunekit.storages.codec import from_dict
from tunekit.storages.http.browser import SESSION_COOKIE

R = TypeVar("R")
Handler = TypeVar("Handler", bound=Callable[..., Any])

SECURITY_SCHEMES: dict[str, Any] = {
    "token": {"type": "http", "scheme": "bearer"},
    "session": {"type": "apiKey", "in": "cookie", "name": SESSION_COOKIE},
}
"""How a caller says who they are, in OpenAPI's words."""

_PROBLEM = {
    "content": {
        "application/problem+json": {
            "schema": {
                "type": "object",
                "properties": {
                    "type": {"type": "string"},
                    "title": {"type": "string"},
                    "status": {"type": "integer"},
                    "detail": {"type": "string"},
                    "code": {"type": "string"},
                    "exit_status": {"type": "integer"},
                },
                "required": ["title", "status", "detail"],
            }
        }
    }
}
_REFUSALS = {
    401: "Not authenticated",
    403: "Not allowed",
    404: "Not found",
    409: "Conflict",
    413: "Too large",
    415: "Unsupported media type",
    422: "Invalid",
    429: "Too many requests",
    503: "Busy",
}


def endpoint(
    router: APIRouter,
    method: str,
    path: str,
    *,
    role: Role,
    body: type | None = None,
    answer: type | tuple[type, ...] | None = None,
    status: int = 200,
    links: Links | None = None,
    permission: Permission | None = None,
    streams: type[Response] = Response,
    example: Any = None,
    max_body: int | None = None,
) -> Callable[[Handler], Handler]:
    """Return a decorator that serves a route to callers with the role.

    The handler takes the record in the body as `given`, and returns the record that is the
    answer, `None` for an answer without content, or a whole `Response`. If it is not a
    coroutine, it runs in a thread, so that it may block.

    Args:
        router: where to add it.
        method: of HTTP.
        path: below the router's; `{project}` in it names the project whose role counts.
        role: least role of the caller.
        body: record that the handler takes.
        answer: record that it returns, or one of several; `None` for another content or none.
        status: of a success.
        links: what the answer holds for the next request.
        permission: what the caller needs besides the role.
        max_body: most bytes of the body, where the service's limit is not right.
        streams: class of the answer, `EventSourceResponse` for a handler that yields events.
        example: JSON document that a caller may send as the body.
    """
    extra = _described(role, body, links, permission, example=example)
    responses = _answers(method, answer, status)

    def register(handler: Handler) -> Handler:
        router.add_api_route(
            path,
            _served(handler, body, status),
            methods=[method],
            status_code=status,
            responses=responses,
            dependencies=[Depends(needs(role, permission))],
            response_class=streams,
            response_model=None,
            openapi_extra=extra,
            max_body_size=max_body,
            operation_id=handler.__name__,
        )
        return handler

    return register


def _described(
    role: Role,
    body: type | None,
    links: Links | None,
    permission: Permission | None,
    *,
    example: Any,
) -> dict[str, Any]:
    """Describe a request for the OpenAPI document: its least role and its body."""
    extra: dict[str, Any] = {"x-role": role.name.lower()}
    if role is not Role.ANYONE:
        extra["security"] = [{name: []} for name in SECURITY_SCHEMES]
    if links is not None:
        extra[KEY] = asdict(links)
    if permission is not None:
        extra["x-permission"] = permission
    if body is not None:
        content = {"application/json": {"schema": schema_of(body)}}
        if example is not None:
            content["application/json"]["example"] = example
        extra["requestBody"] = {"required": True, "content": content}
    return extra


def _answers(
    method: str, answer: type | tuple[type, ...] | None, status: int
) -> dict[int | str, dict[str, Any]]:
    """Describe the answers for the OpenAPI document, by status."""
    responses: dict[int | str, dict[str, Any]] = {
        code: {"description": text, **_PROBLEM} for code, text in _REFUSALS.items()
    }
    success: dict[str, Any] = {"description": "Success"}
    if answer is not None:
        several = [schema_of(a) for a in (answer if isinstance(answer, tuple) else (answer,))]
        schema = several[0] if len(several) == 1 else {"anyOf": several}
        success["content"] = {"application/json": {"schema": schema}}
    responses[status] = success
    if method == "GET":
        responses[304] = {"description": "Not modified since the ETag in If-None-Match"}
    return responses


def _served(handler: Callable[..., Any], body: type | None, status: int) -> Callable[..., Any]:
    """Return the handler as the framework calls it: records in the place of bodies."""
    if inspect.isasyncgenfunction(handler):
        return handler

    @wraps(handler)
    async def later(**known: Any) -> Response:
        return _answer(await handler(**known), status)

    @wraps(handler)
    def at_once(**known: Any) -> Response:
        return _answer(handler(**known), status)

    served: Any = later if inspect.iscoroutinefunction(handler) else at_once
    signature = inspect.signature(handler)
    if body is not None and "given" in signature.parameters:
        given = signature.parameters["given"].replace(annotation=Annotated[Any, _reader(body)])
        parameters = {**signature.parameters, "given": given}
        served.__signature__ = signature.replace(parameters=list(parameters.values()))
    return cast("Callable[..., Any]", served)


def _reader(body: type) -> Any:
    async def read(request: Request) -> Any:
        return await body_of(request, body)

    return Depends(read)


def _answer(found: Any, status: int) -> Response:
    if isinstance(found, Response):
        return found
    return Response(status_code=status) if found is None else reply(found, status)


async def body_of(request: Request, cls: Callable[..., R]) -> R:
    """Return the body of a request as a record.

    Raises:
        InvalidArgument: it is not JSON, or not the JSON form of the record.
    """
    return from_dict(cls, await json_of(request))


async def json_of(request: Request) -> Any:
    """Return the JSON document in the body of a request.

    Raises:
        InvalidArgument: it is not sent as JSON, or cannot be parsed.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise InvalidArgument(
            f"body of content type {kind[:60]!r}, expected application/json; set Content-Type."
        )
    try:
        return json.loads(await request.body())
    except (ValueError, RecursionError):
        raise InvalidArgument(
            "the body is not valid JSON, or is nested too deeply; send one JSON document."
        ) from None


def reply(record: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a record as a JSON answer."""
    return Response(written(record), status, headers, "application/json")
