"""`tunekit serve`: the multi-user service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunekit.cli.command import terminal


def serve(
    storage: Annotated[
        str | None,
        typer.Option(
            "--storage", metavar="URL", help="Where studies are stored. Default: $TUNEKIT_URL."
        ),
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="YAML file with settings; flags and environment win.")
    ] = None,
    accounts: Annotated[
        bool | None,
        typer.Option("--accounts/--no-accounts", help="Whether callers log in."),
    ] = None,
    migrate: Annotated[
        bool | None,
        typer.Option("--migrate", help="Upgrade the tables of an older version first."),
    ] = None,
    root_path: Annotated[
        str | None, typer.Option(help="Path under which a proxy publishes the service.")
    ] = None,
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Host name that requests may use; repeat for more."),
    ] = None,
    artifacts: Annotated[
        str | None,
        typer.Option(metavar="PLACE", help="Folder or URI for the files of trials."),
    ] = None,
    tls_cert: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Certificate (PEM) to serve HTTPS.")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Private key (PEM) of the certificate.")
    ] = None,
    dashboard: Annotated[
        bool | None, typer.Option("--dashboard", help="Publish the dashboard below /dashboard.")
    ] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
) -> None:
    """Serve studies to several people and workers over HTTP.

    They use it as --storage http://HOST:PORT/PROJECT, from Python, or from any other program.
    Each flag is also a line of the file given with --config, and an environment variable such as
    TUNEKIT_SERVE_PORT.
    """
    from tunekit.cli.stores import url_of
    from tunekit.errors import MissingExtra

    try:
        from tunekit.service.server import run_service
        from tunekit.service.settings import read_settings
    except ModuleNotFoundError:
        raise MissingExtra("serve", "tunekit serve") from None
    flags = {
        "storage": storage,
        "host": host,
        "port": port,
        "accounts": accounts,
        "migrate": migrate,
        "root_path": root_path,
        "allowed_hosts": allowed_host or None,
        "artifacts": artifacts,
        "tls_cert": tls_cert,
        "tls_key": tls_key,
        "dashboard": dashboard,
        "log_level": log_level,
    }
    settings = read_settings(config, flags)
    url = settings.storage.get_secret_value() if settings.storage else url_of(None)
    run_service(settings, url, say=terminal.print_line)
