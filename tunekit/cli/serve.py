"""`tunekit serve`: the multi-user service."""

from __future__ import annotations

from typing import Annotated

import typer

from tunekit.cli.command import terminal
from tunekit.cli.options import Storage
from tunekit.cli.stores import url_of


def serve(
    storage: Storage = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8080,
) -> None:
    """Serve studies to several people and workers over HTTP.

    They use it as --storage http://HOST:PORT/PROJECT, from Python, or from any other program.
    """
    from tunekit.service.server import run_service

    run_service(url_of(storage), host, port, say=terminal.print_line)
