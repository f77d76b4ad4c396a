"""`tunekit studies certificate`: whether a change of one parameter is better than the best."""

from __future__ import annotations

from typing import Annotated

import typer

from tunekit.cli.command import command
from tunekit.cli.options import Format, ListFormat, Name, OneFormat, Storage


def add_to(app: typer.Typer) -> None:
    """Add the command to those of studies."""
    command(app, "certificate")(certificate)


def certificate(
    name: Name,
    tolerance: Annotated[
        float | None,
        typer.Option("--tolerance", help="Gain that still counts as equal, in the metric's unit."),
    ] = None,
    points: Annotated[
        int | None, typer.Option("--points", help="Values of a numeric parameter to compare.")
    ] = None,
    reach: Annotated[
        int | None, typer.Option("--reach", help="How many values to either side of the best.")
    ] = None,
    storage: Storage = None,
    form: OneFormat = Format.TABLE,
) -> None:
    """Show whether any change of one parameter is better than the best point."""
    from tunekit.cli.output import emit_list, emit_one
    from tunekit.cli.stores import open_existing, opened_study
    from tunekit.shown import printable

    given = {"tolerance": tolerance, "n_points": points, "reach": reach}
    study = opened_study(open_existing(storage), name)
    found = study.certificate(**{k: v for k, v in given.items() if v is not None})
    if form is not Format.TABLE:
        emit_one("certificate", found.to_dict(), form)
        return
    typer.echo(printable(str(found)))
    columns = ["path", "before", "after", "verdict", "apart", "number"]
    emit_list("changes", found.to_dict()["changes"], ListFormat.TABLE, columns=columns)
