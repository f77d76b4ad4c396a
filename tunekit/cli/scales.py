"""`tunekit scaling stability` and `ladder`: what studies at several sizes say together."""

from __future__ import annotations

from typing import Annotated

import typer

from tunekit.cli.command import command
from tunekit.cli.options import Format, ListFormat, OneFormat, Storage

Names = Annotated[list[str], typer.Argument(help="Names of two or more studies, one a size.")]
Tunnel = Annotated[str, typer.Argument(help="Name of the wind tunnel.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    command(app, "stability")(stability)
    command(app, "ladder")(ladder)


def stability(
    names: Names,
    tolerance: Annotated[
        float,
        typer.Option("--tolerance", help="Relative loss excess that still counts as near best."),
    ] = 1e-3,
    storage: Storage = None,
    form: OneFormat = Format.TABLE,
) -> None:
    """Show which parameters keep one value over the sizes, and which have to be fitted."""
    from tunekit.cli.command import terminal
    from tunekit.cli.output import emit_list, emit_one
    from tunekit.cli.stores import open_existing, opened_study
    from tunekit.scaling import stability_report
    from tunekit.shown import printable

    opened = open_existing(storage)
    found = stability_report([opened_study(opened, name) for name in names], tolerance=tolerance)
    if form is not Format.TABLE:
        emit_one("stability", found.to_dict(), form)
        return
    columns = ["path", "verdict", "value", "best", "exponent"]
    emit_list("parameters", found.to_dict()["parameters"], ListFormat.TABLE, columns=columns)
    for caution in found.cautions:
        terminal.print_line(printable(caution))


def ladder(tunnel: Tunnel, storage: Storage = None, form: OneFormat = Format.TABLE) -> None:
    """Show the rungs of a wind tunnel and the drift of its parameters between them."""
    from tunekit.cli.output import emit_found
    from tunekit.cli.stores import open_existing
    from tunekit.scaling import wind_tunnel

    found = wind_tunnel(tunnel, storage=open_existing(storage)).report()
    emit_found("ladder", found, found.to_dict(), form)
