"""Runs in a child process and asks models through litellm, one request per line.

litellm bounds neither the size of a response nor the time it may trickle in, prints to the
terminal, and changes global state, so it stays out of the process of the study. Here every
response is bounded at the transport, whatever provider it comes from.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

IDLE_S = 300.0
"""Seconds without a request after which the process ends, and frees its memory."""


class Unread(Exception):
    """A response has more bytes, or takes longer, than allowed."""


class Wire:
    """Sees all HTTP responses of this process, and bounds their size and their time.

    Attributes:
        n_sent, n_bytes: requests sent and bytes received for the current conversation.
        status, after: status and Retry-After of the last response; status 0 without one.
        is_too_long, is_late: why it was not read to its end.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.reset(0.0)

    def reset(self, timeout_s: float) -> None:
        """Forget the last conversation, and give the next one its time."""
        self._deadline = time.monotonic() + timeout_s
        self.n_sent, self.n_bytes, self.status, self.after = 0, 0, 0, ""
        self.is_too_long, self.is_late = False, False

    def attach(self) -> None:
        """Let all clients of this process pass their requests through here."""
        import httpx

        plain = httpx.HTTPTransport.handle_request

        def handle(transport: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
            self.n_sent += 1
            self.status, self.after = 0, ""
            request.headers["Accept-Encoding"] = "identity"  # else the bound is on packed bytes
            response = plain(transport, request)
            self.status = response.status_code
            self.after = response.headers.get("Retry-After", "")
            for name in ("Location", "Content-Encoding"):  # follow nothing, unpack nothing
                response.headers.pop(name, None)
            response.stream = _bounded(response.stream, self)
            return response

        httpx.HTTPTransport.handle_request = handle  # type: ignore[method-assign,assignment]

    def counted(self, parts: Iterator[bytes]) -> Iterator[bytes]:
        """Yield the parts of a body up to the allowed size and time.

        Raises:
            Unread: there are more.
        """
        for part in parts:
            self.n_bytes += len(part)
            self.is_too_long = self.n_bytes > self._max_bytes
            self.is_late = time.monotonic() > self._deadline
            if self.is_too_long or self.is_late:
                raise Unread
            yield part


def _bounded(stream: Any, wire: Wire) -> httpx.SyncByteStream:
    import httpx

    class Bounded(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield from wire.counted(iter(stream))

        def close(self) -> None:
            stream.close()

    return Bounded()


def answered(litellm: Any, request: Mapping[str, Any], wire: Wire) -> dict[str, Any]:
    """Return the completion and its price, or what went wrong; never raises."""
    wire.reset(request["timeout"])
    try:
        reply = litellm.completion(**request)
        return {"document": _document(reply), "dollars": _price(litellm, reply, request["model"])}
    except Exception as error:
        return {
            "error": type(error).__name__,
            "said": str(error)[:10_000],
            "code": getattr(error, "status_code", 0),
            "is_late": wire.is_late or isinstance(error, litellm.Timeout),
            "n_sent": wire.n_sent,
            "n_bytes": wire.n_bytes,
            "status": wire.status,
            "after": wire.after,
            "is_too_long": wire.is_too_long,
        }


def _document(reply: Any) -> dict[str, Any]:
    """Return what is read of a completion, in the form of OpenAI's protocol."""
    message, usage = reply.choices[0].message, getattr(reply, "usage", None)
    said = {"content": message.content, "refusal": getattr(message, "refusal", None)}
    counted = {k: getattr(usage, k, None) for k in ("prompt_tokens", "completion_tokens")}
    return {"model": reply.model, "choices": [{"message": said}], "usage": counted}


def _price(litellm: Any, reply: Any, model: str) -> float | None:
    """Return the dollars by litellm's list, `None` for a model that it does not know."""
    try:
        return float(litellm.completion_cost(completion_response=reply, model=model))
    except Exception:
        return None


def main(max_bytes: int) -> None:
    """Answer requests until standard input ends or nothing comes for a while.

    Args:
        max_bytes: largest body of a response.
    """
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what litellm prints must not stand between the replies
    import litellm

    litellm.suppress_debug_info = True
    wire = Wire(max_bytes)
    wire.attach()
    print("{}", file=replies, flush=True)
    while select.select([sys.stdin], [], [], IDLE_S)[0]:
        line = sys.stdin.readline()  # the next one comes after the reply, so none is buffered
        if not line:
            return
        request, environment = json.loads(line)
        os.environ.clear()
        os.environ.update(environment)
        reply = answered(litellm, request, wire)
        print(json.dumps(reply, default=str), file=replies, flush=True)
