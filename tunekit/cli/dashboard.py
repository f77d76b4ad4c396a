"""`tunekit dashboard`: the pages of one person's studies, in the browser."""

from __future__ import annotations

from typing import Annotated

import typer

from tunekit.cli.command import terminal


def dashboard(
    storage: Annotated[
        str | None,
        typer.Argument(
            metavar="[URL]",
            help="File, database or service with the studies. Default: $TUNEKIT_URL.",
            show_default=False,
        ),
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on this machine; 0 takes a free one.")
    ] = 0,
    opens: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
) -> None:
    """Show studies in the browser: what happens, why, and what to do next.

    For a file or a database it starts a service that only this machine reaches, and ends it with
    Ctrl-C; for the URL of a service it shows your projects there, with the login of
    `tunekit login`.
    """  # fmt: skip
    from tunekit.cli.stores import existing_url
    from tunekit.errors import MissingExtra

    url = existing_url(storage)

    def when_up(shown: str) -> None:
        terminal.print_line(f"dashboard at {shown}")
        if opens:
            typer.launch(shown)

    try:
        if url.startswith(("http://", "https://")):
            from tunekit.service.dashboard.alone import run_pages

            run_pages(url, port=port, when_up=when_up)
            return
        from tunekit.service.server import run_service
        from tunekit.service.settings import ServiceSettings
    except ModuleNotFoundError:
        raise MissingExtra("dashboard", "tunekit dashboard") from None
    settings = ServiceSettings(
        host="127.0.0.1", port=port, accounts=False, dashboard=True, log_level="error",
        root_path="", allowed_hosts=(), tls_cert=None, tls_key=None, oidc_issuer="",
        shutdown_s=3.0,
    )  # fmt: skip
    run_service(
        settings, url, say=lambda line: None, shows_all=True,
        when_up=lambda shown: when_up(f"{shown}/dashboard/  (Ctrl-C stops it)"),
    )  # fmt: skip
