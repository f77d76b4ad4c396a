"""Hands requests and websockets of browsers to the process of the pages, and its answers back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import httpx2
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from websockets.asyncio.client import ClientConnection, unix_connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI
from websockets.typing import Subprotocol

from tunekit.service.dashboard.policy import page_policy

MAX_MESSAGE = 16 * 2**20
"""Bytes of one message from the pages to the browser."""

OPEN_S = 30.0
"""Seconds that a page may take to answer a request; its content comes by the websocket."""

_HOP = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization te trailer "
    b"transfer-encoding upgrade content-length date server".split()
)
"""Headers between two neighbours, which are not handed on."""

_HANDSHAKE = frozenset(
    b"sec-websocket-key sec-websocket-version sec-websocket-extensions sec-websocket-protocol "
    b"sec-websocket-accept".split()
)
_PARTIAL = frozenset(b"accept-encoding if-none-match if-modified-since range if-range".split())
_UNTRUSTED = frozenset(b"x-forwarded-for x-forwarded-host x-forwarded-proto forwarded".split())

RawHeaders = list[tuple[bytes, bytes]]


class PageProxy:
    """Connects browsers with the process that listens on a Unix socket.

    Args:
        socket: its path.
    """

    def __init__(self, socket: str) -> None:
        self._socket = socket
        self._client = httpx2.AsyncClient(
            transport=httpx2.AsyncHTTPTransport(uds=socket), timeout=OPEN_S
        )

    async def document(self, scope: Scope) -> Response:
        """Return the document of a page, with the policy that fits it.

        Raises:
            httpx2.TransportError: the process does not answer.
            httpx2.InvalidURL: no host can have the name in the request.
        """
        # Always the whole document: its policy names the script in it.
        headers = [(k, v) for k, v in _handed_on(scope) if k not in _PARTIAL]
        headers.append((b"accept-encoding", b"identity"))
        answer = await self._client.request(scope["method"], _url("http", scope), headers=headers)
        kept = {
            k: v
            for k, v in answer.headers.items()
            if k.lower().encode() not in _HOP and k.lower() != "set-cookie"
        }
        kept["Content-Security-Policy"] = page_policy(answer.content)
        made = Response(answer.content, answer.status_code, kept)
        for cookie in answer.headers.get_list("set-cookie"):
            made.headers.append("Set-Cookie", cookie)
        return made

    async def http(self, scope: Scope, send: Send) -> None:
        """Answer a request without a body, as the answer arrives.

        Raises:
            httpx2.TransportError: the process does not answer.
            httpx2.InvalidURL: no host can have the name in the request.
        """
        request = self._client.build_request(
            scope["method"], _url("http", scope), headers=_handed_on(scope)
        )
        answer = await self._client.send(request, stream=True)
        try:
            headers = [(k.lower(), v) for k, v in answer.headers.raw if k.lower() not in _HOP]
            if "content-length" in answer.headers:
                headers.append((b"content-length", answer.headers["content-length"].encode()))
            await send(
                {"type": "http.response.start", "status": answer.status_code, "headers": headers}
            )
            # An answer that has begun can only be cut off, which the browser notices.
            with suppress(httpx2.TransportError):
                async for part in answer.aiter_raw():
                    await send({"type": "http.response.body", "body": part, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
        finally:
            await answer.aclose()

    async def websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Relay the messages of a websocket until either end closes it."""
        await receive()  # the browser's wish to connect
        try:
            page = await unix_connect(
                self._socket,
                _url("ws", scope),
                additional_headers=[
                    (k.decode("latin-1"), v.decode("latin-1"))
                    for k, v in _handed_on(scope)
                    if k not in _HANDSHAKE and k != b"host"
                ],
                subprotocols=[Subprotocol(p) for p in scope.get("subprotocols", ())] or None,
                compression=None,
                max_size=MAX_MESSAGE,
                open_timeout=OPEN_S,
                ping_interval=None,
                user_agent_header=None,
            )
        except (InvalidURI, ValueError):  # no host can have the name in the request
            await send({"type": "websocket.close", "code": 1008})
            return
        except (OSError, InvalidHandshake, TimeoutError):
            await send({"type": "websocket.close", "code": 1013})  # the browser tries again
            return
        await send({"type": "websocket.accept", "subprotocol": page.subprotocol})
        async with page:
            await _until_one_ends(_to_page(page, receive), _to_browser(page, send))
        await _close(send)


async def _to_page(page: ClientConnection, receive: Receive) -> None:
    while (message := await receive())["type"] == "websocket.receive":
        content = message.get("bytes")
        await page.send(content if content is not None else message["text"])


async def _to_browser(page: ClientConnection, send: Send) -> None:
    async for content in page:
        kind = "text" if isinstance(content, str) else "bytes"
        await send({"type": "websocket.send", kind: content})


async def _until_one_ends(*ways: Any) -> None:
    tasks = [asyncio.ensure_future(way) for way in ways]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        # Either end may vanish at any time, which is not an error.
        await asyncio.gather(*tasks, return_exceptions=True)


async def _close(send: Send) -> None:
    try:
        await send({"type": "websocket.close", "code": 1001})
    except (RuntimeError, ConnectionClosed, OSError):  # the browser has closed it
        return


def _url(scheme: str, scope: Scope) -> str:
    """Return the URL of a request with the host that the browser named, which pages check."""
    host = next((v.decode("latin-1") for k, v in scope["headers"] if k == b"host"), "localhost")
    path = scope.get("raw_path") or scope["path"].encode()
    query = scope.get("query_string", b"")
    return (
        f"{scheme}://{host}{path.decode('latin-1')}{'?' if query else ''}{query.decode('latin-1')}"
    )


def _handed_on(scope: Scope) -> RawHeaders:
    """Return the headers of a request for the process, with the address of the browser."""
    kept: Iterable[tuple[bytes, bytes]] = (
        (k, v) for k, v in scope["headers"] if k not in _HOP and k not in _UNTRUSTED
    )
    client = scope.get("client")
    address = [(b"x-forwarded-for", str(client[0]).encode())] if client else []
    return [*kept, *address]
