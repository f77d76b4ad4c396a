"""`tunekit project`: projects of a service and the roles in them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tunekit.cli.command import command, terminal
from tunekit.cli.options import Fields, Format, ListFormat, ManyFormat, OneFormat
from tunekit.cli.services import Service, every, open_service

app = typer.Typer(
    help="Projects of a service: add, ls, rm, members, grant, revoke, quota.",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(help="Name of the project.")]
User = Annotated[str, typer.Argument(help="Name of the account.")]


@command(app, "add")
def add(name: Name, url: Service = None) -> None:
    """Create a project; you are its admin."""
    with open_service(url) as service:
        service.request("POST", "/projects", {"name": name}, is_repeatable=False)
    terminal.print_line(f"project {name} is created")


@command(app, "ls")
def ls(url: Service = None, form: ManyFormat = ListFormat.TABLE, fields: Fields = None) -> None:
    """List your projects, each with your role."""
    from tunekit.cli.output import emit_list

    with open_service(url) as service:
        records = every(service, "projects")
    emit_list("projects", records, form, columns=("name", "role"), fields=fields)


@command(app, "rm")
def rm(name: Name, url: Service = None) -> None:
    """Delete a project that has no studies, with its roles and tokens."""
    with open_service(url) as service:
        service.request("DELETE", _path(name), is_repeatable=False)
    terminal.print_line(f"project {name} is deleted")


@command(app, "members")
def members(
    name: Name,
    url: Service = None,
    form: ManyFormat = ListFormat.TABLE,
    fields: Fields = None,
) -> None:
    """List who has which role in a project."""
    from tunekit.cli.output import emit_list

    with open_service(url) as service:
        records = every(service, "members", f"{_path(name)}/members")
    emit_list("members", records, form, columns=("user", "role"), fields=fields)


@command(app, "grant")
def grant(
    name: Name,
    user: User,
    role: Annotated[str, typer.Argument(help="viewer, worker, editor or admin.")],
    url: Service = None,
) -> None:
    """Give a user a role in a project, instead of the one they have."""
    with open_service(url) as service:
        service.request("PUT", _member(name, user), {"role": role})
    terminal.print_line(f"{user} is {role} in project {name}")


@command(app, "revoke")
def revoke(name: Name, user: User, url: Service = None) -> None:
    """Take a user's role in a project."""
    with open_service(url) as service:
        service.request("DELETE", _member(name, user), is_repeatable=False)
    terminal.print_line(f"{user} has no role in project {name} any more")


@command(app, "quota")
def quota(
    name: Name,
    running: Annotated[str | None, typer.Option(metavar="N", help="Trials at one time.")] = None,
    gpus: Annotated[str | None, typer.Option(metavar="N", help="GPUs that they hold.")] = None,
    stored_bytes: Annotated[
        str | None, typer.Option(metavar="N", help="Bytes of trials, reports and artifacts.")
    ] = None,
    owner: Annotated[
        list[str] | None,
        typer.Option(
            "--owner", metavar="USER=SLOTS", help="Of all jobs of a user on a runner. Repeatable."
        ),
    ] = None,
    url: Service = None,
    form: OneFormat = Format.TABLE,
) -> None:
    """Show the quotas of a project and what it uses of them; operators set them.

    A limit of "none" is taken away; limits that are not given stay as they are.
    """
    from dataclasses import asdict, replace

    from tunekit.cli.output import emit_one
    from tunekit.cli.quotas import limit, limits_by_owner
    from tunekit.storages.codec import from_dict, to_dict
    from tunekit.storages.http.oversight_messages import QuotaUse

    given = {"running": running, "gpus": gpus, "stored_bytes": stored_bytes}
    changes: dict[str, Any] = {
        key: limit(text, key) for key, text in given.items() if text is not None
    }
    path = f"{_path(name)}/quotas"
    with open_service(url) as service:
        use = from_dict(QuotaUse, service.request("GET", path).doc)
        if owner:
            owners = {**use.quotas.owners, **limits_by_owner(owner, flag="--owner")}
            changes["owners"] = {user: n for user, n in owners.items() if n is not None}
        if changes:
            new = to_dict(replace(use.quotas, **changes))
            use = from_dict(QuotaUse, service.request("PUT", path, new).doc)
    used = asdict(use)
    emit_one("quotas", {"limits": used.pop("quotas"), "used": used}, form)


def _path(name: str) -> str:
    from tunekit.storages.http.connection import quoted

    return f"/projects/{quoted(name)}"


def _member(name: str, user: str) -> str:
    from tunekit.storages.http.connection import quoted

    return f"{_path(name)}/members/{quoted(user)}"
