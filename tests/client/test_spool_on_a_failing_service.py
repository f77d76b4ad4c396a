"""The spool before a service that fails by itself: nothing is dropped, nothing is blocked."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tunekit.client.spool import Post, Spool
from tunekit.storages.http.connection import Connection


class Failing(BaseHTTPRequestHandler):
    """Fails for paths in `server.broken`, with the answer of an unexpected exception."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        is_broken = self.path in self.server.broken
        doc = {"code": "TK000", "detail": "the service failed."} if is_broken else {}
        content = json.dumps(doc).encode()
        self.send_response(500 if is_broken else 200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        if not is_broken:
            self.server.taken.append(self.path)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Failing) as server:
        server.broken, server.taken = set(), []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_result_stays_while_the_service_fails_on_it_and_others_are_sent(server, tmp_path):
    connection = Connection(f"http://127.0.0.1:{server.server_port}")
    spool = Spool(tmp_path, connection)
    server.broken = {"/api/v1/one"}
    spool.add([Post("/one", {})])
    spool.add([Post("/two", {})])
    assert spool.flush(outage_s=0.0) == 1
    assert server.taken == ["/api/v1/two"]
    server.broken = set()
    assert spool.flush(outage_s=0.0) == 0
    assert server.taken == ["/api/v1/two", "/api/v1/one"]
    connection.close()
