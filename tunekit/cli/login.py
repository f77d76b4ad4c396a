"""`tunekit login` and `tunekit whoami`: the caller's account on a service."""

from __future__ import annotations

import platform
from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from tunekit.cli.command import terminal
from tunekit.cli.options import Format, OneFormat
from tunekit.cli.services import OUTAGE_S, Service, ask_secret, base_of, every, open_service

if TYPE_CHECKING:
    from tunekit.storages.http.connection import Connection

LOGIN_DAYS = 90
"""Days for which a login of the command line is valid."""


def login(
    url: Annotated[str, typer.Argument(help="The service: http://host:port or https://host.")],
    user: Annotated[str | None, typer.Option(help="Name of the account.")] = None,
    token: Annotated[
        bool, typer.Option("--token", help="Store a token that you have, instead of a password.")
    ] = False,
) -> None:
    """Log in to a service: its token is stored in a file that only you can read.

    The password, or with --token the token, is asked for, or read from a pipe.
    """
    from tunekit.storages.http.connection import Connection
    from tunekit.storages.http.credentials import store_token

    base = base_of(url)
    if token:
        secret = ask_secret("Token")
    else:
        name = user or typer.prompt("User", err=True)
        password = ask_secret("Password")
        with closing(Connection(base, outage_s=OUTAGE_S)) as service:
            secret = _token_of(service, name, password)
    with closing(Connection(base, secret, outage_s=OUTAGE_S)) as service:
        caller = service.request("GET", "/caller").doc
    path = store_token(base, secret)
    terminal.print_line(f"logged in to {base} as {caller['user']}; the token is in {path}")
    terminal.print_line(f"use it: export TUNEKIT_URL={base}/{caller['project']}")


def whoami(url: Service = None, form: OneFormat = Format.TABLE) -> None:
    """Show your account on a service, and your projects with the roles in them."""
    from tunekit.cli.output import emit_one

    with open_service(url) as service:
        caller, projects = service.request("GET", "/caller").doc, None
        if caller.get("kind", "open") != "open":
            projects = {p["name"]: p["role"] for p in every(service, "projects")}
    record = {
        "user": caller["user"],
        "kind": caller.get("kind", "open"),
        "operator": caller.get("is_operator", False),
        "service": service.url,
        "version": caller["version"],
        "default_project": caller["project"],
    }
    if projects is not None:
        record["projects"] = projects
    emit_one("caller", record, form)


def _token_of(service: Connection, name: str, password: str) -> str:
    """Return a new token of a user, got with their password; no session is left behind."""
    answer = service.request("POST", "/login", {"name": name, "password": password})
    cookies = [v for name, v in answer.headers.items() if name.lower() == "set-cookie"]
    cookie = cookies[0].partition(";")[0]
    session = {"Cookie": cookie, "X-CSRF-Token": answer.doc["csrf"]}
    label = f"tunekit login on {platform.node()[:60]}"
    new = {"label": label, "role": "operator", "days": LOGIN_DAYS}
    try:
        issued = service.request("POST", "/tokens", new, headers=session, is_repeatable=False)
    finally:
        service.request("POST", "/logout", headers=session)
    secret: str = issued.doc["secret"]
    return secret
