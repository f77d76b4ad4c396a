"""`tunekit token`: tokens of yours, and of a project for its machines."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tunekit.cli.command import command, terminal
from tunekit.cli.options import Fields, ListFormat, ManyFormat
from tunekit.cli.services import Service, every, open_service

app = typer.Typer(help="Tokens of a service: create, ls, revoke.", no_args_is_help=True)

COLUMNS = ("id", "label", "role", "project", "created", "expires", "last_used")

Project = Annotated[str | None, typer.Option(help="The only project that the token opens.")]
Machine = Annotated[
    str | None,
    typer.Option("--machine", metavar="PROJECT", help="Of this project, for its machines."),
]


@command(app, "create")
def create(
    label: Annotated[str, typer.Argument(help="What the token is for.")],
    role: Annotated[
        str | None,
        typer.Option(
            help="Most that it may do: viewer, worker, editor or admin. Default: editor, of a "
            "machine worker."
        ),
    ] = None,
    project: Project = None,
    machine: Machine = None,
    days: Annotated[int, typer.Option(help="Days until it expires; 0 for never.")] = 90,
    url: Service = None,
) -> None:
    """Create a token and print it, this once."""
    from tunekit.errors import InvalidArgument

    if project is not None and machine is not None:
        raise InvalidArgument("--project and --machine exclude each other; give one.")
    default = "editor" if machine is None else "worker"
    new: dict[str, Any] = {"label": label, "role": role or default, "days": days or None}
    if project is not None:
        new["project"] = project
    with open_service(url) as service:
        issued = service.request("POST", _path(machine), new, is_repeatable=False).doc
    terminal.print_line(f"token {issued['token']['id']}; it is shown this once:")
    typer.echo(issued["secret"])


@command(app, "ls")
def ls(
    machine: Machine = None,
    url: Service = None,
    form: ManyFormat = ListFormat.TABLE,
    fields: Fields = None,
) -> None:
    """List your tokens, or those of a project's machines, without their secrets."""
    from tunekit.cli.output import emit_list, moment

    with open_service(url) as service:
        tokens: list[dict[str, Any]] = every(service, "tokens", _path(machine))
    records = [
        {name: token.get(name) for name in COLUMNS}
        | {name: moment(token.get(name)) for name in ("created", "expires", "last_used")}
        for token in tokens
    ]
    emit_list("tokens", records, form, columns=COLUMNS, fields=fields)


@command(app, "revoke")
def revoke(
    token_id: Annotated[int, typer.Argument(metavar="ID", help="As `tunekit token ls` shows it.")],
    machine: Machine = None,
    url: Service = None,
) -> None:
    """Revoke a token at once."""
    with open_service(url) as service:
        service.request("DELETE", f"{_path(machine)}/{token_id}")
    terminal.print_line(f"token {token_id} is revoked")


def _path(machine: str | None) -> str:
    from tunekit.storages.http.connection import quoted

    return "/tokens" if machine is None else f"/projects/{quoted(machine)}/tokens"
