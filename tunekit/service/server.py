"""Runs the service in this process until it is told to stop."""

from __future__ import annotations

import socket
from collections.abc import Callable
from ipaddress import ip_address

from tunekit.errors import InvalidArgument, MissingExtra, ServiceBusy
from tunekit.storages.urls import open_storage


def run_service(url: str, host: str, port: int, *, say: Callable[[str], None]) -> None:
    """Serve the studies of a storage until SIGTERM or SIGINT; requests that run are finished.

    Raises:
        InvalidArgument: the address is public, which needs accounts.
        MissingExtra: the packages of the service are not installed.
        ServiceBusy: another process listens on the port.
    """
    try:
        import uvicorn

        from tunekit.service.app import Service, create_app
    except ModuleNotFoundError:
        raise MissingExtra("serve", "tunekit serve") from None
    if not is_loopback(host):
        raise InvalidArgument(
            f"host {host!r} is reachable from other machines, and the service has no accounts; "
            "listen on 127.0.0.1."
        )
    listener = _listener(host, port)
    app = create_app(Service(open_storage(url)))
    say(f"tunekit serves {url_at(listener)} (Ctrl-C stops it)")
    config = uvicorn.Config(app, log_config=None, access_log=False, ws="none", lifespan="on")
    uvicorn.Server(config).run(sockets=[listener])


def is_loopback(host: str) -> bool:
    """Return whether only programs on this machine reach an address."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def url_at(listener: socket.socket) -> str:
    """Return the URL of a listening socket."""
    address, port = listener.getsockname()[:2]
    return f"http://{f'[{address}]' if ':' in address else address}:{port}"


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise ServiceBusy(
            f"cannot listen on {host}:{port} ({error.strerror}); stop the other program, or give "
            "another --port."
        ) from None
