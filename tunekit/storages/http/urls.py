"""Opens the storage of a service by its URL."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from tunekit.errors import InvalidArgument
from tunekit.shown import shown_url
from tunekit.storages.http.connection import Connection
from tunekit.storages.http.credentials import stored_token

if TYPE_CHECKING:
    from tunekit.storages.http.storage import HTTPStorage


def open_http(url: str, *, must_exist: bool) -> HTTPStorage:
    """Return the storage at `http://host:port/project`.

    The last segment of the path is the project; without one, or with a slash at the end, it is
    the caller's default project. The token is $TUNEKIT_TOKEN, or the one that `tunekit login`
    has stored for this service.

    Raises:
        InvalidArgument: the URL names no host, or holds a token.
        StorageUnreachable: the service does not answer.
        NotAuthenticated: it refuses the token.
    """
    from tunekit.storages.http.storage import HTTPStorage

    return HTTPStorage(*_connected(url))


def open_project(url: str, what: str) -> tuple[Connection, HTTPStorage]:
    """Return the connection to a service, and the storage of the project in its URL.

    Args:
        url: `http://host:port/project`.
        what: only a service does.

    Raises:
        InvalidArgument: the URL is that of a database, or as `open_http` says.
        StorageUnreachable: the service does not answer.
        NotAuthenticated: it refuses the token.
    """
    from tunekit.storages.http.storage import HTTPStorage

    if not url.lower().startswith(("http://", "https://")):
        raise InvalidArgument(
            f"{shown_url(url)} is not a service, and only a service {what}; give --url "
            "http://host:port/project."
        )
    connection, project = _connected(url)
    return connection, HTTPStorage(connection, project)


def _connected(url: str) -> tuple[Connection, str | None]:
    base, project = split_project(url)
    return Connection(base, token_for(base)), project


def split_project(url: str) -> tuple[str, str | None]:
    """Return the URL of a service and the project in its path."""
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise InvalidArgument(
            f"service URL {shown_url(url)!r} holds a login; set $TUNEKIT_TOKEN, or run "
            "`tunekit login` once."
        )
    if parts.query or parts.fragment:
        raise InvalidArgument(
            f"service URL {shown_url(url)!r}: the project is the last segment of the path; "
            "write http://host:port/project."
        )
    root, _, project = parts.path.rpartition("/")
    base = f"{parts.scheme}://{parts.netloc}{root}"
    return base, unquote(project) or None


def token_for(base: str) -> str | None:
    """Return the token for a service: $TUNEKIT_TOKEN, or the stored one."""
    return os.environ.get("TUNEKIT_TOKEN") or stored_token(base)
