"""Configures the HTTP server in front of an application."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from tunekit.service.http_guard import GuardedProtocol
from tunekit.service.tls import CertificateFiles
from tunekit.storages.http.connection import IDLE_S

MAX_CONNECTIONS = 1000
"""Connections, idle ones included; a further one gets status 503."""


class ServiceServer(uvicorn.Server):
    """Runs an application; streams end before it waits for its requests to finish.

    Args:
        config: how to serve.
        stop: ends the streams.
    """

    def __init__(self, config: uvicorn.Config, stop: Callable[[], Awaitable[None]]) -> None:
        super().__init__(config)
        self._stop = stop

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, and let requests finish."""
        await self._stop()
        await super().shutdown(sockets)


def server_config(
    app: ASGIApp,
    *,
    shutdown_s: float = 30.0,
    certificate: CertificateFiles | None = None,
    has_pages: bool = False,
) -> uvicorn.Config:
    """Return how to serve an application.

    Args:
        app: the application.
        shutdown_s: seconds for which requests may finish after SIGTERM.
        certificate: serves HTTPS; `None` serves HTTP.
        has_pages: whether to accept websockets, which only the dashboard's pages use.
    """
    tls: dict[str, Any] = {}
    if certificate is not None:
        tls = {"ssl_certfile": certificate.chain, "ssl_keyfile": certificate.key}
    return uvicorn.Config(
        app,
        http=GuardedProtocol,
        ws="websockets-sansio" if has_pages else "none",
        ws_max_size=2**20,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=MAX_CONNECTIONS,
        # Clients close an idle connection first, so that no request meets a closing one.
        timeout_keep_alive=int(2 * IDLE_S),
        timeout_graceful_shutdown=int(shutdown_s),
        **tls,
    )
