import socket
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tunekit.errors import InvalidArgument, StorageError, StorageUnreachable
from tunekit.service.app import Service
from tunekit.storages.http import connection
from tunekit.storages.sql.storage import SQLStorage
from tunekit.storages.urls import open_storage
from tunekit.testing.service import running_service


def test_a_service_that_was_never_reached_is_given_up_early(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "OPENING_S", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(StorageUnreachable, match="check that `tunekit serve` runs"):
        open_storage(f"http://127.0.0.1:{port}/vision")


@pytest.mark.parametrize(
    "url", ["http:///vision", "http://ada:secret@host/vision", "http://h/v?a=b"]
)
def test_a_url_that_names_no_service_is_refused(url: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        open_storage(url)
    assert "secret" not in str(refused.value)


class OtherProgram(BaseHTTPRequestHandler):
    """A web server that is no tunekit service."""

    def do_GET(self) -> None:
        page = b"<html>hello</html>"
        self.send_response(200 if self.path.startswith("/page") else 404)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *words: object) -> None:
        """Print nothing."""


@pytest.mark.parametrize(("path", "status"), [("/vision", 404), ("/page/vision", 200)])
def test_another_program_at_the_url_is_named_as_such(path: str, status: int) -> None:
    with HTTPServer(("127.0.0.1", 0), OtherProgram) as other:
        Thread(target=other.serve_forever, daemon=True).start()
        with pytest.raises(StorageError) as refused:
            open_storage(f"http://127.0.0.1:{other.server_port}{path}")
        other.shutdown()
    assert f"answers (status {status}), but not as a tunekit service" in str(refused.value)
    assert "expected http://host:port/project" in str(refused.value)


def test_what_the_service_refuses_without_a_code_is_told(tmp_path: Path) -> None:
    storage = open_storage(f"sqlite:///{tmp_path}/t.db")
    assert isinstance(storage, SQLStorage)
    with (
        running_service(Service(storage, allowed_hosts=("tune.example",))) as url,
        pytest.raises(StorageError, match="refuses the request: the request names a host"),
    ):
        open_storage(f"{url}/vision")
