"""Stands before the service's routes: `/dashboard` goes to the pages, for whoever may enter."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from urllib.parse import quote, urlsplit

import httpx2
from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tunekit.errors import (
    InvalidArgument,
    NotAuthenticated,
    ServiceBusy,
    TunekitError,
    UnknownStudy,
)
from tunekit.service.access.gate import Gate
from tunekit.service.access.roles import Role
from tunekit.service.access.share_links import ShareLinkBook
from tunekit.service.dashboard.process import DashboardProcess
from tunekit.service.dashboard.proxy import PageProxy
from tunekit.service.problems import problem
from tunekit.storages.http.browser import SHARE_PREFIX

PLACE = "/dashboard"
"""Path of the pages below the root path of the service."""

_NO_HOST = "the Host header of the request is not a host name; open the address of the service."
_SILENT = "the dashboard does not answer at this moment."
_REFUSAL = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>tunekit</title></head>'
    "<body><h1>The dashboard cannot be shown</h1><p>{text}</p></body></html>"
)
MAX_SHARES = 20
"""Share links of one browser that are looked up."""


@dataclass(eq=False)
class DashboardDoor:
    """Wraps the application of a service; requests below `/dashboard` go to the pages.

    Attributes:
        app: the application.
        process: of the pages.
        gate: says who is logged in.
        share_links: let somebody without a login see one study; `None` for none.
        root: path under which the service is published; empty for none.
    """

    app: ASGIApp
    process: DashboardProcess
    gate: Gate
    share_links: ShareLinkBook | None
    root: str = ""
    proxy: PageProxy = field(init=False)

    def __post_init__(self) -> None:
        self.proxy = PageProxy(self.process.socket)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request of the pages; hand on anything else."""
        kind = scope["type"]
        place = self.root + PLACE
        is_page = kind in ("http", "websocket") and f"{scope['path']}/".startswith(f"{place}/")
        if kind == "http" and is_page:
            answer = await self._answer(scope, send)
            if answer is not None:
                await answer(scope, receive, send)
        elif kind == "websocket":
            await self._relay(scope, receive, send, is_page=is_page)
        elif kind == "http" and scope["path"] in (self.root, f"{self.root}/"):
            await RedirectResponse(f"{place}/", 303)(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _answer(self, scope: Scope, send: Send) -> ASGIApp | None:
        """Hand a request to the pages; return what answers it instead, if they do not."""
        if scope["method"] not in ("GET", "HEAD"):
            return Response(status_code=405, headers={"Allow": "GET, HEAD"})
        path = scope["path"][len(self.root) :]
        if path == PLACE:  # links of pages are relative to the folder
            return RedirectResponse(f"{self.root}{PLACE}/", 303)
        is_document = not _is_public(path)
        try:
            if is_document and not await self._may_enter(scope):
                return RedirectResponse(self._login(scope), 303)
            await self.process.ready()
            if is_document:
                return await self.proxy.document(scope)
            await self.proxy.http(scope, send)
        except httpx2.TransportError:
            return _refusal(ServiceBusy(_SILENT), is_document=is_document)
        except httpx2.InvalidURL:
            return _refusal(InvalidArgument(_NO_HOST), is_document=is_document)
        except TunekitError as error:
            return _refusal(error, is_document=is_document)
        return None

    async def _relay(self, scope: Scope, receive: Receive, send: Send, *, is_page: bool) -> None:
        try:
            may_enter = is_page and _is_same_origin(scope) and await self._may_enter(scope)
            if may_enter:
                await self.process.ready()
        except TunekitError:
            may_enter = False
        if may_enter:
            await self.proxy.websocket(scope, receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1008})

    async def _may_enter(self, scope: Scope) -> bool:
        """Return whether the browser is logged in, or has opened a share link that still works."""
        request = Request({**scope, "type": "http", "method": "GET"})
        try:
            await self.gate.admit(request, Role.CALLER, None)
        except NotAuthenticated:
            return await self._has_share_link(request)
        return True

    async def _has_share_link(self, request: Request) -> bool:
        if self.share_links is None:
            return False
        secrets = [v for k, v in request.cookies.items() if k.startswith(SHARE_PREFIX)]
        for secret in secrets[:MAX_SHARES]:
            try:
                await run_in_threadpool(self.share_links.shared, secret)
            except UnknownStudy:
                continue
            return True
        return False

    def _login(self, scope: Scope) -> str:
        """Return the login page, which leads back to the page that was asked for."""
        query = scope.get("query_string", b"").decode("latin-1")
        page = quote(scope["path"] + (f"?{query}" if query else ""), safe="")
        return f"{self.root}/login#next={page}"


def _is_public(path: str) -> bool:
    """Return whether a decoded path is of the scripts and styles that all visitors get alike.

    Dots would lead out of their folder once the path is resolved.
    """
    is_public = "/static/" in path or path.endswith(("/_stcore/health", "/_stcore/host-config"))
    return is_public and ".." not in path.split("/")


def _refusal(error: TunekitError, *, is_document: bool) -> Response:
    """Return an error as people read it, who see it again once the pages answer."""
    answer = problem(error)
    if not is_document:
        return answer
    content = _REFUSAL.format(text=escape(str(error)))
    again = {"Refresh": "3"} if answer.status_code == 503 else {}
    return HTMLResponse(content, answer.status_code, again)


def _is_same_origin(scope: Scope) -> bool:
    """Return whether a websocket was opened by a page of this service, and not by another's."""
    headers = dict(scope["headers"])
    try:
        origin = urlsplit(headers.get(b"origin", b"").decode("latin-1"))
    except ValueError:
        return False
    return bool(origin.netloc) and origin.netloc == headers.get(b"host", b"").decode("latin-1")
