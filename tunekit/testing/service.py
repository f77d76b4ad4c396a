"""Runs a service for tests, on a free loopback port."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import FastAPI

from tunekit.service.app import Service, create_app
from tunekit.service.http_server import ServiceServer, server_config
from tunekit.service.tls import CertificateFiles


@contextmanager
def running_service(
    service: Service, *, certificate: CertificateFiles | None = None
) -> Iterator[str]:
    """Serve on a thread of this process; yield the URL of the service without a project."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        app = create_app(service)
        _build_routes(app)
        server = ServiceServer(server_config(app, certificate=certificate), service.stop)
        thread = threading.Thread(
            target=server.run, kwargs={"sockets": [listener]}, name="service", daemon=True
        )
        thread.start()
        try:
            # The kernel queues connections from now on, so nobody has to wait for the start.
            scheme = "http" if certificate is None else "https"
            yield f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def _build_routes(app: FastAPI) -> None:
    """Have FastAPI build its routes on this thread, which it does with the first request.

    Several services in one process share the routes' declarations, which are not thread-safe.
    """
    nowhere = {"type": "http", "method": "GET", "path": "/", "root_path": "", "headers": []}
    for route in app.routes:
        route.matches(nowhere)
