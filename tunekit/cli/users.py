"""`tunekit user`: users of a service, for its operators."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tunekit.cli.command import command, terminal
from tunekit.cli.options import Fields, ListFormat, ManyFormat
from tunekit.cli.services import Service, every, open_service

app = typer.Typer(
    help="Users of a service: add, ls, invite, disable, enable.", no_args_is_help=True
)

COLUMNS = ("name", "is_operator", "may_create", "is_active", "created")

Name = Annotated[str, typer.Argument(help="Name of the account.")]


@command(app, "add")
def add(
    name: Name,
    operator: Annotated[bool, typer.Option("--operator", help="Runs the service.")] = False,
    may_create: Annotated[bool, typer.Option("--may-create", help="May create projects.")] = False,
    subject: Annotated[
        str | None, typer.Option(help="At the OIDC provider: 'ISSUER SUBJECT'.")
    ] = None,
    url: Service = None,
    storage: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Database of the service, to add a user without it."),
    ] = None,
) -> None:
    """Add a user and print a one-time link with which they set their password."""
    new: dict[str, Any] = {"name": name, "is_operator": operator, "may_create": may_create}
    if subject is not None:
        new["subject"] = subject
    if storage is not None:
        typer.echo(f"http://HOST:PORT{_added_offline(storage, new)}")
        return
    with open_service(url) as service:
        invitation = service.request("POST", "/users", new, is_repeatable=False).doc
    terminal.print_line(f"{name} sets a password at this link, once, within three days:")
    typer.echo(f"{service.url}{invitation['path']}")


@command(app, "ls")
def ls(url: Service = None, form: ManyFormat = ListFormat.TABLE, fields: Fields = None) -> None:
    """List the users of a service."""
    from tunekit.cli.output import emit_list, moment

    with open_service(url) as service:
        users: list[dict[str, Any]] = every(service, "users")
    records = [{**user, "created": moment(user["created"])} for user in users]
    emit_list("users", records, form, columns=COLUMNS, fields=fields)


@command(app, "invite")
def invite(name: Name, url: Service = None) -> None:
    """Print a new one-time link for a user, for example for a lost password."""
    with open_service(url) as service:
        invitation = service.request("POST", f"{_path(name)}:invite").doc
    typer.echo(f"{service.url}{invitation['path']}")


@command(app, "disable")
def disable(name: Name, url: Service = None) -> None:
    """Disable a user: their sessions and tokens end at once."""
    with open_service(url) as service:
        service.request("PATCH", _path(name), {"is_active": False})
    terminal.print_line(f"{name} is disabled")


@command(app, "enable")
def enable(name: Name, url: Service = None) -> None:
    """Enable a disabled user, with the tokens that they had."""
    with open_service(url) as service:
        service.request("PATCH", _path(name), {"is_active": True})
    terminal.print_line(f"{name} is enabled")


def _path(name: str) -> str:
    from tunekit.storages.http.connection import quoted

    return f"/users/{quoted(name)}"


def _added_offline(storage: str, new: dict[str, Any]) -> str:
    """Add a user in the database and return the path of their link."""
    from tunekit.errors import MissingExtra

    try:
        from tunekit.service.access.accounts import Accounts
    except ModuleNotFoundError:
        raise MissingExtra("serve", "tunekit user add --storage") from None
    from tunekit.storages.http.account_messages import UserNew
    from tunekit.storages.sql.storage import SQLStorage
    from tunekit.storages.urls import open_database

    opened = SQLStorage(open_database(storage), must_exist=True)
    accounts = Accounts(opened.database)
    try:
        accounts.users.create(UserNew(**new))
        return accounts.invitations.invite(new["name"]).path
    finally:
        accounts.close()
        opened.close()
