"""A local endpoint that speaks OpenAI's chat protocol and answers as a test tells it to."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, slots=True)
class Said:
    """How the endpoint answers one request.

    Attributes:
        text: content of the model's message.
        status: HTTP status; with an error the text is the error's message.
        headers: further ones, such as Retry-After.
        body: raw body instead of a chat completion.
        is_endless: sends the body again and again until the client goes away.
        pause_s: seconds between the parts of an endless body.
        waits_for: an event to wait for before answering.
        usage: tokens as the endpoint counts them.
    """

    text: str = ""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    is_endless: bool = False
    pause_s: float = 0.0
    waits_for: threading.Event | None = None
    usage: Mapping[str, int] | None = None


@dataclass(slots=True)
class RunningEndpoint:
    """A running endpoint.

    Attributes:
        base: its URL up to `/v1`.
        requests: bodies of the requests so far.
        keys: their Authorization headers.
    """

    base: str
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # with the 5 of the standard library some of many callers wait 1 s


@contextmanager
def running_endpoint(answer: Callable[[dict[str, Any]], Said]) -> Iterator[RunningEndpoint]:
    """Run an endpoint on loopback and a free port until the end of the context.

    Args:
        answer: request body -> how to answer; called on a thread for each request.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            endpoint.keys.append(self.headers.get("Authorization", ""))
            endpoint.requests.append(request)
            said = answer(request)
            if said.waits_for is not None:
                said.waits_for.wait()
            try:
                _send(self, said, str(request.get("model", "")))
            except OSError:  # the client has gone away
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            """Print nothing."""

    server = _Server(("127.0.0.1", 0), Handler)
    endpoint = RunningEndpoint(f"http://127.0.0.1:{server.server_port}/v1")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield endpoint
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _send(handler: BaseHTTPRequestHandler, said: Said, model: str) -> None:
    body = said.body if said.body is not None else _document(said, model)
    handler.send_response(said.status)
    for name, value in said.headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Type", "application/json")
    if said.is_endless:
        handler.close_connection = True
    else:
        handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)
    while said.is_endless:
        time.sleep(said.pause_s)
        handler.wfile.write(body)


def _document(said: Said, model: str) -> bytes:
    if said.status != 200:
        return json.dumps({"error": {"message": said.text}}).encode()
    document: dict[str, Any] = {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": said.text},
            }
        ],
    }
    if said.usage is not None:
        document["usage"] = dict(said.usage)
    return json.dumps(document).encode()
