"""What stands before the pages lets nobody in by an odd path or header, and never breaks."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tunekit.service.access.gate import Gate, OpenGate
from tunekit.service.app import Service
from tunekit.service.dashboard.doors import DashboardDoor
from tunekit.service.dashboard.process import DashboardProcess

Message = dict[str, Any]
CUT_OFF = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun"


async def _ask(folder: Path, gate: Gate, scope: Message) -> list[Message]:
    """Return what a door sends, whose pages answer anything with `CUT_OFF`."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(CUT_OFF)
        await writer.drain()
        writer.close()

    async def ready() -> None:
        """Say that the pages listen."""

    async def nothing(*args: Any) -> None:
        raise AssertionError("no request of the pages may go to the service")

    async def receive() -> Message:
        return {"type": f"{scope['type']}.{'request' if scope['type'] == 'http' else 'connect'}"}

    sent: list[Message] = []

    async def send(message: Any) -> None:
        sent.append(dict(message))

    socket = str(folder / "pages")
    process = cast(DashboardProcess, SimpleNamespace(socket=socket, ready=ready))
    async with await asyncio.start_unix_server(answer, socket):
        door = DashboardDoor(nothing, process, gate, None)
        await door(scope, receive, send)
    return sent


def ask(
    folder: Path, gate: Gate, path: str, /, kind: str = "http", **headers: str
) -> list[Message]:
    scope = {
        "type": kind, "method": "GET", "path": path, "raw_path": path.encode(),
        "query_string": b"", "root_path": "", "subprotocols": [], "client": ("127.0.0.1", 1),
        "headers": [(k.encode(), v.encode()) for k, v in {"host": "here", **headers}.items()],
    }  # fmt: skip
    return asyncio.run(_ask(folder, gate, scope))


@pytest.mark.parametrize(
    "path", ["static/../media/1", "a/static/..", "_stcore/metrics", "_stcore/health/../metrics"]
)
def test_no_path_that_leads_out_of_the_public_files_gets_in_without_a_login(
    tmp_path: Path, service: Service, path: str
) -> None:
    sent = ask(tmp_path, service.gate, f"/dashboard/{path}")
    assert sent[0]["status"] == 303
    assert dict(sent[0]["headers"])[b"location"].startswith(b"/login#next=")


@pytest.mark.parametrize("path", ["static/a.js", "_stcore/health", "_stcore/host-config"])
def test_an_answer_of_the_pages_that_is_cut_off_begins_once_and_has_no_end(
    tmp_path: Path, service: Service, path: str
) -> None:
    sent = ask(tmp_path, service.gate, f"/dashboard/{path}")
    assert [m["type"] for m in sent] == ["http.response.start", "http.response.body"]
    assert sent[1] == {"type": "http.response.body", "body": b"begun", "more_body": True}


@pytest.mark.parametrize("path", ["", "static/a.js"])
def test_a_host_that_no_url_can_have_is_refused(tmp_path: Path, path: str) -> None:
    sent = ask(tmp_path, OpenGate(), f"/dashboard/{path}", host="a:b")
    assert sent[0]["status"] == 422


@pytest.mark.parametrize(("origin", "host"), [("http://[", "here"), ("http://a:b", "a:b")])
def test_a_websocket_with_an_odd_origin_or_host_is_refused(
    tmp_path: Path, origin: str, host: str
) -> None:
    sent = ask(tmp_path, OpenGate(), "/dashboard/_stcore/stream", "websocket", origin=origin,
               host=host)  # fmt: skip
    assert sent == [{"type": "websocket.close", "code": 1008}]
