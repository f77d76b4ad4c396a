"""Opens the service that a command about accounts talks to."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from tunekit.errors import InvalidArgument

if TYPE_CHECKING:
    from tunekit.storages.http.connection import Connection

OUTAGE_S = 10.0
"""Seconds for which a command waits for a service that does not answer."""

Service = Annotated[
    str | None,
    typer.Option(
        "--url",
        metavar="URL",
        help="The service. Default: $TUNEKIT_URL, else the one logged in to.",
    ),
]


@contextmanager
def open_service(flag: str | None) -> Iterator[Connection]:
    """Yield a connection to the service of the flag, the environment, or the only login.

    Raises:
        InvalidArgument: none of them names one.
    """
    from tunekit.storages.http.connection import Connection
    from tunekit.storages.http.urls import token_for

    base = service_url(flag)
    with closing(Connection(base, token_for(base), outage_s=OUTAGE_S)) as connection:
        yield connection


def service_url(flag: str | None) -> str:
    """Return the URL of the service without a project.

    Raises:
        InvalidArgument: neither the flag, nor $TUNEKIT_URL, nor a single login names one.
    """
    from tunekit.storages.http.credentials import known_services
    from tunekit.storages.http.urls import split_project

    if flag is not None:
        return base_of(flag)
    given = os.environ.get("TUNEKIT_URL", "")
    if given.startswith(("http://", "https://")):
        return split_project(given)[0]
    known = known_services()
    if len(known) == 1:
        return known[0]
    found = f"you are logged in to {', '.join(known)}" if known else "you are logged in to none"
    raise InvalidArgument(
        f"which service? {found}; give --url http://host:port, or log in with `tunekit login URL`."
    )


def base_of(url: str) -> str:
    """Return the URL of a service as its token is stored under.

    Raises:
        InvalidArgument: it is not a URL of a service.
    """
    from tunekit.shown import shown_url
    from tunekit.storages.http.urls import split_project

    if not url.startswith(("http://", "https://")):
        raise InvalidArgument(f"{shown_url(url)!r}: expected http://host:port or https://host.")
    return split_project(f"{url.rstrip('/')}/")[0]


def ask_secret(what: str) -> str:
    """Return a secret that somebody types unseen, or the first line of a pipe."""
    if sys.stdin.isatty():
        text: str = typer.prompt(what, hide_input=True, err=True)
        return text
    return sys.stdin.readline().rstrip("\r\n")


def every(connection: Connection, key: str, path: str | None = None) -> list[dict[str, object]]:
    """Return all items of a list of the service, page by page."""
    found: list[dict[str, object]] = []
    after = None
    while True:
        page = connection.request("GET", path or f"/{key}", query={"after": after}).doc
        found += page[key]
        after = page.get("after")
        if after is None:
            return found
