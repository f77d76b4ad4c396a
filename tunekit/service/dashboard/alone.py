"""Serves the pages on this machine for a service elsewhere, with the login of a terminal."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from tunekit.service.access.gate import OpenGate
from tunekit.service.access.headers import SecurityHeaders
from tunekit.service.access.hosts import LOOPBACK
from tunekit.service.dashboard.doors import PLACE, DashboardDoor
from tunekit.service.dashboard.process import DashboardProcess, PageSettings
from tunekit.service.http_server import ServiceServer, server_config
from tunekit.service.server import listener_at, url_at
from tunekit.storages.codec import from_dict
from tunekit.storages.http.connection import Connection
from tunekit.storages.http.messages import Caller
from tunekit.storages.http.urls import split_project, token_for

COOKIE = "tunekit_pages"
OPEN = f"{PLACE}/open/"
"""Path of the address to open, before the key; a key in a query would be hidden when printed."""


@dataclass(eq=False)
class KeyDoor:
    """Lets only the browser in that opened the printed address: the pages act with a login.

    Attributes:
        app: the pages.
        key: stands in the printed address once, and then in a cookie.
    """

    app: ASGIApp
    key: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request of that browser; refuse every other."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        request = Request({**scope, "type": "http", "method": "GET"})
        if secrets.compare_digest(request.cookies.get(COOKIE, "").encode(), self.key.encode()):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        elif secrets.compare_digest(scope["path"].encode(), f"{OPEN}{self.key}".encode()):
            answer = RedirectResponse(f"{PLACE}/", 303)
            answer.set_cookie(COOKIE, self.key, httponly=True, samesite="strict")
            await answer(scope, receive, send)
        else:
            text = "Open the address that `tunekit dashboard` printed."
            await PlainTextResponse(text, 403)(scope, receive, send)


def run_pages(url: str, *, port: int, when_up: Callable[[str], None]) -> None:
    """Serve the pages of a service's projects until SIGTERM or SIGINT.

    Args:
        url: of the service, with or without a project.
        port: on this machine; 0 takes a free one.
        when_up: called with the address to open.

    Raises:
        StorageUnreachable: the service does not answer.
        NotAuthenticated: it refuses the login of this terminal.
    """
    base, _ = split_project(url if url.count("/") > 2 else f"{url}/")
    token = token_for(base)
    connection = Connection(base, token)
    from_dict(Caller, connection.request("GET", "/caller").doc)
    connection.close()
    listener = listener_at("127.0.0.1", port)
    process = DashboardProcess(PageSettings(base, hosts=LOOPBACK, token=token or ""))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        process.start()
        yield
        await run_in_threadpool(process.close)

    async def nothing_to_stop() -> None:
        """End no streams: there are none."""

    key = secrets.token_urlsafe(24)
    inner = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    door = DashboardDoor(inner, process, OpenGate(), None)
    app = SecurityHeaders(TrustedHostMiddleware(KeyDoor(door, key), LOOPBACK))
    when_up(f"{url_at(listener)}{OPEN}{key}  (Ctrl-C stops it)")
    ServiceServer(server_config(app, shutdown_s=3.0, has_pages=True), nothing_to_stop).run(
        sockets=[listener]
    )
