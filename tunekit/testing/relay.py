"""Connects browsers of a test with a service from another address, and counts what it sends."""

from __future__ import annotations

import socket
import socketserver
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Lock, Thread

FROM = "127.0.0.9"
"""Address of this machine from which it connects with the service."""


@dataclass
class Relay:
    """A port of this machine behind which the service stands.

    Attributes:
        url: of the port.
        n_bytes: bytes from the service so far, as they went over the network.
    """

    url: str
    n_bytes: int = 0

    def __post_init__(self) -> None:
        self._lock = Lock()

    def count(self, n: int) -> None:
        """Count bytes from the service."""
        with self._lock:
            self.n_bytes += n


@contextmanager
def relay_to(host: str, port: int) -> Iterator[Relay]:
    """Connect whoever comes to a free port of this machine with a service."""

    class Passage(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection((host, port), source_address=(FROM, 0)) as service:
                back = Thread(target=_copy, args=(service, self.request, relay), daemon=True)
                back.start()
                _copy(self.request, service)
                back.join()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Passage) as server:
        relay = Relay(f"http://127.0.0.1:{server.server_address[1]}")
        server.daemon_threads, server.block_on_close = True, False
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield relay
        finally:
            server.shutdown()


def _copy(source: socket.socket, target: socket.socket, relay: Relay | None = None) -> None:
    """Send on what comes, until one of the two is closed."""
    with suppress(OSError):
        while part := source.recv(65536):
            target.sendall(part)
            if relay is not None:
                relay.count(len(part))
        target.shutdown(socket.SHUT_WR)
