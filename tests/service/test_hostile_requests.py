"""Requests that are too large, too slow or too deep, sent over raw sockets."""

import json
import re
import socket
from collections.abc import Iterator
from itertools import count, repeat
from pathlib import Path
from threading import Event
from urllib.parse import urlsplit

import pytest

from tunekit.records import ObjectiveSpec, StudySpec
from tunekit.service import app as app_module
from tunekit.service.app import MAX_BODY_BYTES, Service
from tunekit.service.http_guard import MAX_HEAD_BYTES, MAX_HEADERS, GuardedProtocol
from tunekit.storages.codec import to_dict
from tunekit.storages.sql.sqlite import SQLiteDatabase
from tunekit.storages.sql.storage import SQLStorage
from tunekit.testing.service import running_service

STUDIES = "/api/v1/projects/p/studies"
SPEC = StudySpec(name="digits", objectives=(ObjectiveSpec("error", "minimize"),))


@pytest.fixture
def storage(tmp_path: Path) -> SQLStorage:
    return SQLStorage(SQLiteDatabase(tmp_path / "s.db"))


@pytest.fixture
def url(storage: SQLStorage) -> Iterator[str]:
    with running_service(Service(storage)) as url:
        yield url


def connected(url: str) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((str(parts.hostname), int(parts.port or 0)))


def exchanged(url: str, parts: Iterator[bytes] | list[bytes]) -> tuple[int, int]:
    """Send parts until the service ends the connection; return the status and bytes sent.

    The status is 0 if the service closed the connection while more was on its way.
    """
    sent = 0
    with connected(url) as s:
        try:
            for part in parts:
                s.sendall(part)
                sent += len(part)
        except OSError:
            pass
        answer = b""
        try:
            while data := s.recv(65536):
                answer += data
                if _is_whole(answer):
                    break
        except OSError:
            pass
    found = re.match(rb"HTTP/1.1 (\d+)", answer)
    if found is None:
        return 0, sent
    assert b"application/problem+json" in answer or int(found[1]) < 400
    return int(found[1]), sent


def _is_whole(answer: bytes) -> bool:
    head, found, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    return bool(found and length and len(body) >= int(length[1]))


def request(
    method: str = "GET", path: str = "/api/v1/caller", length: int | None = None, more: str = ""
) -> bytes:
    body = "" if length is None else f"Content-Length: {length}\r\n"
    kind = "Content-Type: application/json\r\n"
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\n{kind}{body}{more}\r\n".encode()


def is_well(url: str) -> bool:
    return exchanged(url, [request()])[0] == 200


def test_more_headers_than_any_client_sends_are_refused(url: str) -> None:
    within = "".join(f"a{i}: b\r\n" for i in range(MAX_HEADERS - 2))
    assert exchanged(url, [request(more=within)])[0] == 200
    assert exchanged(url, [request(more=within + "one: more\r\n")])[0] == 431
    assert exchanged(url, [request(more=f"a: {'b' * MAX_HEAD_BYTES}\r\n")])[0] == 431
    assert is_well(url)


@pytest.mark.parametrize(
    "part", [b"a: b\r\n" * 1000, b"x" * 4096], ids=["a million headers", "one endless header"]
)
def test_headers_without_end_are_not_kept_in_memory(url: str, part: bytes) -> None:
    head = b"GET / HTTP/1.1\r\nHost: x\r\nlong: "
    status, sent = exchanged(url, _endless(head, part))
    assert status in (431, 0)  # 0: it did not wait for the rest
    # What the kernel's buffers took besides is nothing that the service holds.
    assert sent < 64 * 2**20
    assert is_well(url)


def test_an_endless_url_and_an_endless_trailer_are_not_kept_in_memory(url: str) -> None:
    assert exchanged(url, _endless(b"GET /", b"x" * 4096))[0] in (431, 0)
    head = b"POST /api/v1/caller HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    trailer = b"1\r\nx\r\n0\r\nlong: "
    assert exchanged(url, _endless(head + trailer, b"x" * 4096))[0] in (431, 405, 0)
    assert is_well(url)


def _endless(head: bytes, part: bytes) -> Iterator[bytes]:
    yield head
    yield from repeat(part, 2**30 // len(part))


def test_a_body_of_100_megabytes_is_refused_before_it_is_read(url: str) -> None:
    status, _ = exchanged(url, [request("POST", STUDIES, 100 * 2**20)])
    assert status == 413
    assert is_well(url)


def test_a_body_of_100_megabytes_in_chunks_is_refused_where_it_gets_too_long(url: str) -> None:
    head = (
        f"POST {STUDIES} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        "Transfer-Encoding: chunked\r\n\r\n"
    )
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    n = 100 * 2**20 // 65536
    assert exchanged(url, _chunks(head.encode(), chunk, n))[0] == 413
    assert is_well(url)


def _chunks(head: bytes, chunk: bytes, n: int) -> Iterator[bytes]:
    yield head
    yield from repeat(chunk, n)
    yield b"0\r\n\r\n"


def test_many_long_bodies_at_once_do_not_fit_into_memory_and_are_refused(
    storage: SQLStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app_module, "MAX_HELD_BYTES", MAX_BODY_BYTES // 4)
    body = b"[" + b" " * (MAX_BODY_BYTES // 2) + b"]"
    with running_service(Service(storage)) as url:
        assert exchanged(url, [request("POST", STUDIES, len(body)), body])[0] == 503
        assert exchanged(url, [request("POST", STUDIES, 2), b"[]"])[0] == 422  # it is free again


@pytest.mark.parametrize("depth", [50, 400, 800, 990, 100_000])
@pytest.mark.parametrize(("opened", "closed"), [("[", "]"), ('{"a":', "}")])
def test_deeply_nested_json_is_an_error_of_the_request_or_is_stored(
    url: str, depth: int, opened: str, closed: str
) -> None:
    nested = opened * depth + "1" + closed * depth
    text = json.dumps({**to_dict(SPEC), "attrs": {"a": "?"}}).replace('"?"', nested)
    for doc in (nested, text):
        status, _ = exchanged(url, [request("POST", STUDIES, len(doc)), doc.encode()])
        assert status in (201, 422)
    assert is_well(url)


@pytest.mark.parametrize(
    "begun",
    [
        b"GET /api/v1/caller HT",
        b"GET /api/v1/caller HTTP/1.1\r\nHost: x\r\n",
        request("POST", STUDIES, 1000) + b"{",
    ],
    ids=["in the first line", "in the headers", "in the body"],
)
def test_a_request_that_does_not_arrive_in_time_is_given_up(
    storage: SQLStorage, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr(GuardedProtocol, "head_s", 0.05)
    monkeypatch.setattr(GuardedProtocol, "body_s", 0.05)
    with running_service(Service(storage)) as url:
        assert exchanged(url, [begun])[0] == 408
        assert exchanged(url, [request(), begun])[0] == 200  # the first one was answered


def test_a_connection_on_which_nothing_is_asked_is_closed(
    storage: SQLStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GuardedProtocol, "head_s", 0.05)
    with running_service(Service(storage)) as url, connected(url) as s:
        assert s.recv(1) == b""


def test_a_slow_body_that_keeps_its_rate_is_read_to_its_end(
    storage: SQLStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GuardedProtocol, "body_s", 0.02)
    monkeypatch.setattr(GuardedProtocol, "least_rate", 0.0)
    looks, looked_twice, look = count(1), Event(), GuardedProtocol._on_time

    def counted(protocol: GuardedProtocol) -> None:
        look(protocol)
        if next(looks) == 2:
            looked_twice.set()

    monkeypatch.setattr(GuardedProtocol, "_on_time", counted)
    doc = json.dumps(to_dict(SPEC)).encode()
    with running_service(Service(storage)) as url, connected(url) as s:
        s.sendall(request("POST", STUDIES, len(doc)))
        assert looked_twice.wait(60)
        s.sendall(doc)
        assert s.recv(12) == b"HTTP/1.1 201"


def test_what_is_no_http_gets_an_answer_and_no_more(url: str) -> None:
    assert exchanged(url, [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"])[0] == 400
    assert is_well(url)
