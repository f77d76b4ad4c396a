"""Runs the service in this process until it is told to stop."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable
from importlib.util import find_spec
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tunekit.errors import InvalidArgument, MissingExtra, ServiceBusy
from tunekit.service.access.accounts import Accounts
from tunekit.service.access.hosts import ANY, LOOPBACK, checked_hosts
from tunekit.service.access.oidc_records import OIDCSettings
from tunekit.service.access.rates import RateLimits
from tunekit.service.app import Service, create_app
from tunekit.service.asking.pool import PoolSettings
from tunekit.service.dashboard.process import DashboardProcess, PageSettings
from tunekit.service.http_server import ServiceServer, server_config
from tunekit.service.logs import set_up_logs
from tunekit.service.settings import ServiceSettings
from tunekit.service.sole_replica import sole_replica
from tunekit.service.tls import CertificateFiles, certificate
from tunekit.storages.sql.storage import SQLStorage
from tunekit.storages.urls import open_database

if TYPE_CHECKING:
    from tunekit.service.access.oidc import OIDC

OUTAGE_S = 10.0
"""Seconds to retry a transaction before the client is told to: a request must not wait long."""


def run_service(
    settings: ServiceSettings,
    url: str,
    *,
    say: Callable[[str], None],
    when_up: Callable[[str], None] = lambda shown: None,
    shows_all: bool = False,
) -> None:
    """Serve the studies of a storage until SIGTERM or SIGINT; requests that run are finished.

    Args:
        settings: how to serve.
        url: of the storage.
        say: prints a line.
        when_up: called with the URL of the service once it listens.
        shows_all: whether the one project shows all studies of the storage, whatever project
            their names begin with, for one person's own file.

    Raises:
        InvalidArgument: the address is public, which needs accounts; or a certificate or the
            name of a host is unusable.
        SchemaMismatch: an older version has written the tables, and `migrate` is not set.
        ServiceBusy: another process listens on the port, or serves the same SQLite file.
    """
    _refuse_public(settings)
    files = certificate(settings.tls_cert, settings.tls_key)
    hosts = _hosts(settings)
    set_up_logs(settings.log_level)
    listener = listener_at(settings.host, settings.port)
    shown = url_at(listener, "http" if files is None else "https") + settings.root_path
    pages = _pages(settings, shown, hosts, files) if settings.dashboard else None
    database = open_database(url)
    database.outage_s = OUTAGE_S
    with sole_replica(database):
        storage = SQLStorage(database, may_upgrade=settings.migrate)
        service = _service(settings, storage, url, hosts, pages=pages, shows_all=shows_all)
        config = server_config(
            create_app(service),
            shutdown_s=settings.shutdown_s,
            certificate=files,
            has_pages=pages is not None,
        )
        say(f"tunekit serves {shown} (Ctrl-C stops it)")
        if service.accounts is not None:
            _say_setup(service.accounts, shown, say)
        when_up(shown)
        ServiceServer(config, service.stop).run(sockets=[listener])


def _refuse_public(settings: ServiceSettings) -> None:
    """Refuse an address that others reach where nobody logs in."""
    if not settings.accounts and not is_loopback(settings.host):
        raise InvalidArgument(
            f"host {settings.host!r} is reachable from other machines, and without accounts "
            "anybody there could read and delete all studies; listen on 127.0.0.1, or leave out "
            "--no-accounts."
        )


def _service(
    settings: ServiceSettings,
    storage: SQLStorage,
    url: str,
    hosts: tuple[str, ...],
    *,
    pages: DashboardProcess | None,
    shows_all: bool,
) -> Service:
    """Return what the routes share."""
    return Service(
        storage,
        accounts=Accounts(storage.database) if settings.accounts else None,
        oidc=_oidc(settings),
        rates=RateLimits(settings.rates()),
        allowed_hosts=hosts,
        root_path=settings.root_path,
        url=url,
        suggestions=PoolSettings(
            settings.suggest_processes, settings.suggest_deadline_s, settings.suggest_queue
        ),
        artifacts_at=settings.artifacts,
        pages=pages,
        shows_all=shows_all,
    )


def _hosts(settings: ServiceSettings) -> tuple[str, ...]:
    """Return the names that requests may give; those of this machine where the pages need them."""
    given = settings.allowed_hosts or (LOOPBACK if is_loopback(settings.host) else ANY)
    return checked_hosts(dict.fromkeys([*given, *(LOOPBACK if settings.dashboard else ())]))


def _pages(
    settings: ServiceSettings, shown: str, hosts: tuple[str, ...], files: CertificateFiles | None
) -> DashboardProcess:
    """Return the process of the dashboard, which reaches the service on this machine.

    Raises:
        MissingExtra: its packages are not installed.
    """
    if find_spec("streamlit") is None or find_spec("websockets") is None:
        raise MissingExtra("dashboard", "the dashboard")
    parts = urlsplit(shown)
    anywhere = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - compared, not bound
    host = anywhere.get(str(parts.hostname))
    service = shown if host is None else f"{parts.scheme}://{host}:{parts.port}{parts.path}"
    return DashboardProcess(
        PageSettings(
            service,
            f"{settings.root_path}/dashboard".strip("/"),
            hosts,
            settings.dashboard_secret.get_secret_value(),
            key=secrets.token_urlsafe(32),
            certificate=None if files is None else files.chain,
        )
    )


def _oidc(settings: ServiceSettings) -> OIDC | None:
    """Return the provider of the settings; its packages are loaded only if there is one."""
    if not settings.oidc_issuer:
        return None
    if not settings.accounts or not settings.oidc_client_id:
        raise InvalidArgument(
            "oidc_issuer needs accounts and oidc_client_id, the name of this service there; set "
            "it, or leave oidc_issuer out."
        )
    from tunekit.service.access.oidc import OIDC

    return OIDC(
        OIDCSettings(
            settings.oidc_issuer,
            settings.oidc_client_id,
            settings.oidc_client_secret.get_secret_value(),
            create_users=settings.oidc_create_users,
        )
    )


def _say_setup(accounts: Accounts, url: str, say: Callable[[str], None]) -> None:
    """Print the one-time link of a service without users."""
    setup = accounts.invitations.setup()
    if setup is not None:
        say(f"no users yet; within an hour, make the first operator at {url}{setup.path}")


def is_loopback(host: str) -> bool:
    """Return whether only programs on this machine reach an address."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def url_at(listener: socket.socket, scheme: str = "http") -> str:
    """Return the URL of a listening socket."""
    address, port = listener.getsockname()[:2]
    return f"{scheme}://{f'[{address}]' if ':' in address else address}:{port}"


def listener_at(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Raises:
        ServiceBusy: another program listens there.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise ServiceBusy(
            f"cannot listen on {host}:{port} ({error.strerror}); stop the other program, or give "
            "another --port."
        ) from None
