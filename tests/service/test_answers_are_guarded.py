"""Headers, host names and the root path of the service."""

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import pytest
from starlette.testclient import TestClient

from tunekit.errors import InvalidArgument
from tunekit.records import ObjectiveSpec, StudySpec
from tunekit.service.access.headers import HEADERS
from tunekit.service.access.hosts import LOOPBACK, checked_hosts
from tunekit.service.access.rates import Rate, RateLimits, RateSettings
from tunekit.service.app import MAX_BODY_BYTES, Service, create_app
from tunekit.storages.sql.sqlite import SQLiteDatabase
from tunekit.storages.sql.storage import SQLStorage
from tunekit.storages.urls import open_storage
from tunekit.testing.service import running_service

SPEC = StudySpec(name="digits", objectives=(ObjectiveSpec("error", "minimize"),))


@pytest.fixture
def storage(tmp_path: Path) -> SQLStorage:
    return SQLStorage(SQLiteDatabase(tmp_path / "s.db"))


class BrokenStorage(SQLStorage):
    def list_studies(self) -> list[object]:  # type: ignore[override]
        raise RuntimeError("secret of the implementation")


def test_every_answer_has_the_headers_that_keep_browsers_from_using_it(tmp_path: Path) -> None:
    app = create_app(Service(BrokenStorage(SQLiteDatabase(tmp_path / "s.db"))))
    with TestClient(app, raise_server_exceptions=False) as client:
        answers = {
            200: client.get("/api/v1/caller"),
            404: client.get("/api/v1/nothing"),
            405: client.put("/api/v1/caller"),
            413: client.post(
                "/api/v1/projects/p/studies",
                content=b"x" * (MAX_BODY_BYTES + 1),
                headers={"Content-Type": "application/json"},
            ),
            422: client.get("/api/v1/projects/p/studies?limit=x"),
            500: client.get("/api/v1/projects/p/studies"),
        }
    for status, answer in answers.items():
        assert answer.status_code == status
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS
        assert "Strict-Transport-Security" not in answer.headers
        assert "secret" not in answer.text
        if status >= 400:
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert answer.json()["status"] == status


def test_answers_over_tls_tell_browsers_to_stay_with_it(storage: SQLStorage) -> None:
    with TestClient(create_app(Service(storage)), base_url="https://t") as client:
        assert "max-age" in client.get("/api/v1/caller").headers["Strict-Transport-Security"]


def test_a_page_that_gives_its_own_name_our_address_reads_nothing(storage: SQLStorage) -> None:
    app = create_app(Service(storage, allowed_hosts=LOOPBACK))
    with TestClient(app, base_url="http://127.0.0.1:8080") as client:
        assert client.get("/api/v1/caller").status_code == 200
        assert client.get("/api/v1/caller", headers={"Host": "[::1]:8080"}).status_code == 200
        refused = client.get("/api/v1/caller", headers={"Host": "evil.example"})
    assert refused.status_code == 400
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert "--allowed-host" in refused.json()["detail"]
    assert refused.headers["X-Content-Type-Options"] == "nosniff"


def test_a_request_that_a_guard_refuses_is_logged_under_the_id_in_its_answer(
    storage: SQLStorage, caplog: pytest.LogCaptureFixture
) -> None:
    rates = RateLimits(RateSettings(address=Rate(0.001, 1.0)))
    service = Service(storage, allowed_hosts=LOOPBACK, rates=rates)
    with TestClient(create_app(service), base_url="http://127.0.0.1") as client:
        caplog.set_level("INFO", "tunekit.service")
        foreign = client.get("/api/v1/caller", headers={"Host": "evil", "X-Request-ID": "one"})
        often = client.get("/api/v1/caller", headers={"X-Request-ID": "two"})
        counted = service.metrics.exposition().decode()
    assert (foreign.status_code, often.status_code) == (400, 429)
    assert [a.headers["X-Request-ID"] for a in (foreign, often)] == ["one", "two"]
    lines = [r for r in caplog.records if r.getMessage() == "request"]
    assert [r.status for r in lines] == [400, 429]  # type: ignore[attr-defined]
    assert 'status="400"' in counted and 'status="429"' in counted


@pytest.mark.parametrize("host", ["", "*.", "a*b", "http://a", "a:80"])
def test_a_name_that_is_no_host_is_refused_at_the_start(host: str) -> None:
    with pytest.raises(InvalidArgument, match="without scheme and port"):
        checked_hosts([host])


@contextmanager
def proxy(target: str, *, cut: str) -> Iterator[str]:
    """Pass requests on to a service, without the prefix `cut` of their path; yield its URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass(self) -> None:
            there = http.client.HTTPConnection(urlsplit(target).netloc)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            path = self.path.removeprefix(cut)
            there.request(self.command, path, body, dict(self.headers.items()))
            answer = there.getresponse()
            content = answer.read()
            there.close()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("content-length", "connection"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("cut", ["/tune", ""])
def test_a_study_is_run_behind_a_proxy_that_publishes_the_service_under_a_path(
    tmp_path: Path, cut: str
) -> None:
    service = Service(open_storage(tmp_path / "s.db"), root_path="/tune")
    with running_service(service) as url, proxy(url, cut=cut) as public:
        storage = open_storage(f"{public}/tune/vision")
        study = storage.create_study(SPEC)
        assert [r.id for r in storage.list_studies()] == [study.id]
        storage.close()
        port = urlsplit(public).netloc
        there = http.client.HTTPConnection(port)
        there.request("GET", "/tune/openapi.json")
        doc = json.loads(there.getresponse().read())
        there.close()
    assert doc["servers"] == [{"url": "/tune"}]


@pytest.mark.parametrize("root", ["", "/tune"])
def test_the_address_that_the_service_prints_opens_a_page_that_says_what_it_is(
    storage: SQLStorage, root: str
) -> None:
    app = create_app(Service(storage, root_path=root))
    with TestClient(app, base_url="http://127.0.0.1:8080") as client:
        page = client.get(f"{root}/")
        described = client.get(f"{root}/openapi.json")
    assert page.status_code == described.status_code == 200
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert f"--storage http://127.0.0.1:8080{root}/PROJECT" in page.text
    assert f'href="{root}/openapi.json"' in page.text
