"""Bounds what a connection may send before the application sees it, and for how long.

uvicorn holds all headers of a request in memory, however many there are, and waits for ever for
the rest of a request that arrives byte by byte.
"""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEADERS = 100
"""Headers of one request, trailers included."""

MAX_HEAD_BYTES = 64 * 2**10
"""Bytes of one request besides its body: URL and headers."""


class GuardedProtocol(HttpToolsProtocol):
    """Reads requests within limits of size and time.

    Attributes:
        head_s: seconds in which the head of a request has to arrive.
        body_s: seconds after which the rate of a body is looked at, again and again.
        least_rate: bytes a second of a body that is not given up.
    """

    head_s: float = 10.0
    body_s: float = 30.0
    least_rate: float = 4096.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._timer: asyncio.TimerHandle | None = None
        self._is_in_body = False
        self._n_headers = 0
        self._head_bytes = 0  # of the headers that are parsed
        self._loose_bytes = 0  # received since the last part of a body
        self._body_bytes = 0  # received since the timer was set
        self._refusal: tuple[HTTPStatus, str] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect the head of a request."""
        super().connection_made(transport)
        self._expect(self.head_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._expect(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what arrived; refuse a request that goes beyond the limits."""
        if self._refusal is not None:
            return
        self._loose_bytes += len(data)
        if self._timer is None:  # the first byte after an answer
            self._expect(self.head_s)
        super().data_received(data)
        # A chunk may hold a short head and a long body, so it counts once it is parsed.
        if self._loose_bytes > MAX_HEAD_BYTES and self._refusal is None:
            self._refuse(*_TOO_LARGE)

    def on_message_begin(self) -> None:
        """Reset the count."""
        super().on_message_begin()
        self._n_headers = self._head_bytes = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header, or end the parsing where there are too many."""
        self._n_headers += 1
        self._head_bytes += len(name) + len(value)
        if self._n_headers > MAX_HEADERS or self._head_bytes > MAX_HEAD_BYTES:
            self._refusal = _TOO_LARGE
            raise ValueError  # the parser stops, and `send_400_response` answers
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Expect the body."""
        super().on_headers_complete()
        self._is_in_body, self._body_bytes, self._loose_bytes = True, 0, 0
        self._expect(self.body_s)

    def on_body(self, body: bytes) -> None:
        """Pass on a part of the body."""
        self._loose_bytes = 0
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Wait for no more of this request."""
        self._is_in_body, self._loose_bytes = False, 0
        self._expect(None)
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what could not be parsed."""
        status, detail = self._refusal or (HTTPStatus.BAD_REQUEST, f"{msg} Send HTTP/1.1.")
        self._refuse(status, detail)

    def _expect(self, seconds: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if seconds is not None:
            self._timer = self.loop.call_later(seconds, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        is_fast = self._is_in_body and self._body_bytes >= self.least_rate * self.body_s
        # The application may be the one that is slow: it then takes no more of the body.
        if self.flow.read_paused or is_fast:
            self._body_bytes = 0
            self._expect(self.body_s)
        elif self._loose_bytes or self._is_in_body:
            self._refuse(*_TOO_SLOW)
        else:  # nobody asked for anything
            self.transport.close()

    def _refuse(self, status: HTTPStatus, detail: str) -> None:
        """Answer with a problem document, unless an answer is under way, and close."""
        self._refusal = (status, detail)
        self._expect(None)
        if self._may_answer():
            self.transport.write(_refusal(status, detail))
        self.transport.close()

    def _may_answer(self) -> bool:
        if self.cycle is None:
            return True
        if self._is_in_body:
            return not (self.pipeline or self.cycle.response_started)
        return self.cycle.response_complete


_TOO_LARGE = (
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    f"the request has more than {MAX_HEADERS} headers, or more than {MAX_HEAD_BYTES} bytes "
    "besides its body; send less.",
)
_TOO_SLOW = (
    HTTPStatus.REQUEST_TIMEOUT,
    "the request did not arrive in time; send it again over a faster connection.",
)


def _refusal(status: HTTPStatus, detail: str) -> bytes:
    doc = {"title": status.phrase, "status": status.value, "detail": detail}
    body = json.dumps(doc).encode()
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/problem+json\r\n"
        f"content-length: {len(body)}\r\ncache-control: no-store\r\n"
        "x-content-type-options: nosniff\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body
