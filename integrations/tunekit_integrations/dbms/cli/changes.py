"""`tunekit knobs check` and `apply`: what settings would do, and putting them in force."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunekit.cli.command import terminal
from tunekit.cli.options import Format, OneFormat, Storage
from tunekit.errors import InvalidArgument
from tunekit_integrations.dbms.cli.flags import Opened, Restart, Target, TargetOptions, Yes

if TYPE_CHECKING:
    from tunekit_integrations.dbms.records import Settings, SettingsCheck
    from tunekit_integrations.dbms.target import KnobTarget

Changes = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KNOB=VALUE...]", help="Such as work_mem=64MB."),
]
OfStudy = Annotated[
    str | None, typer.Option("--study", metavar="NAME", help="Take what this study accepted.")
]
COLUMNS = ("knob", "before", "after", "why", "restart", "risk", "can be lost")


def check(
    target: Target,
    changes: Changes = None,
    study: OfStudy = None,
    opened: Opened = None,
    restart: Restart = None,
    target_option: TargetOptions = None,
    storage: Storage = None,
    form: OneFormat = Format.TABLE,
) -> None:
    """Judge settings against a server and change nothing; status 1 if they must not be applied."""
    from tunekit.cli.output import emit_one
    from tunekit_integrations.dbms.cli.failures import failures_told
    from tunekit_integrations.dbms.cli.targets import close, open_target

    with failures_told():
        _, server = open_target(target, target_option, restart, opened=opened or [])
        try:
            settings = _settings(server, changes, study, storage)
            found = server.check(settings)
            shown = _shown(server, settings, found)
        finally:
            close(server)
    if form is Format.TABLE:
        _print(shown)
    else:
        emit_one("check", shown, form)
    if not found.is_ok:
        raise typer.Exit(1)


def apply(
    target: Target,
    changes: Changes = None,
    study: OfStudy = None,
    opened: Opened = None,
    restart: Restart = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", metavar="FILE", help="Write a file for a person to apply instead."),
    ] = None,
    yes: Yes = False,
    journals: Annotated[
        Path | None, typer.Option("--journals", metavar="FOLDER", help="Where journals lie.")
    ] = None,
    target_option: TargetOptions = None,
    storage: Storage = None,
) -> None:
    """Put settings in force for good, after a question; `rollback` takes them back.

    A managed server gets a file that a person applies.
    """
    from tunekit_integrations.dbms.applying import applied_for_good, proposal
    from tunekit_integrations.dbms.cli.failures import failures_told
    from tunekit_integrations.dbms.cli.targets import close, open_target
    from tunekit_integrations.dbms.journal import Journals

    with failures_told():
        kind, server = open_target(target, target_option, restart, opened=opened or [])
        try:
            settings = _settings(server, changes, study, storage)
            found = server.check(settings)
            settings = {k: v for k, v in settings.items() if k not in found.unchanged}
            _print(_shown(server, settings, found))
            if not found.is_ok:
                raise typer.Exit(1)
            if not settings:
                terminal.print_line("all of it is in force already.")
                return
            if file is not None or server.instance.is_managed:
                path = file or Path(f"{server.instance.system}-knobs.conf")
                path.write_text(proposal(server, settings), "utf-8")
                typer.echo(f"written for a person to apply: {path}")
                return
            if not yes:
                typer.confirm("Apply this?", abort=True, err=True)
            done = applied_for_good(server, settings, kind, Journals(journals))
        finally:
            close(server)
    for clamp in done.clamped:
        typer.echo(f"{clamp.knob}: asked for {clamp.asked}, the server took {clamp.got}.")
    for knob in done.pending_restart:
        typer.echo(f"{knob}: takes effect with the next restart.")
    typer.echo("applied; `tunekit knobs rollback` takes it back.")


def _settings(
    server: KnobTarget, changes: list[str] | None, study: str | None, storage: str | None
) -> dict[str, Any]:
    from tunekit_integrations.dbms.cli.targets import settings_of

    if bool(changes) == bool(study):
        raise InvalidArgument("give either KNOB=VALUE, or --study with what it accepted.")
    if changes:
        return settings_of(changes, server.catalogue)
    from tunekit.analysis.charts.knobs import has_result
    from tunekit.cli.stores import open_existing

    attrs = open_existing(storage).get_study(str(study)).spec.attrs
    accepted = attrs["knobs"]["changes"] if has_result(attrs) else []
    if not accepted:
        raise InvalidArgument(
            f'study "{study}" has accepted nothing; `tunekit knobs report {study}` says why.'
        )
    if attrs["knobs"]["system"] != server.instance.system:
        raise InvalidArgument(
            f'study "{study}" tuned {attrs["knobs"]["system"]}, the target is '
            f"{server.instance.system}."
        )
    return {c["knob"]: c["after"] for c in accepted}


def _shown(server: KnobTarget, settings: Settings, found: SettingsCheck) -> dict[str, Any]:
    from tunekit_integrations.dbms.evidence import changes_told

    in_force = server.in_force()
    known = {k: v for k, v in settings.items() if k in in_force}
    told = changes_told(known, server.catalogue, in_force, server.instance.system)
    return {
        "is_ok": found.is_ok,
        "errors": list(found.errors),
        "warnings": list(found.warnings),
        "memory_bytes": found.memory_bytes,
        "needs_restart": list(found.needs_restart),
        "unchanged": list(found.unchanged),
        "changes": told,
    }


def _print(shown: dict[str, Any]) -> None:
    from tunekit.cli.output import print_table, text
    from tunekit.shown import printable

    keys = ("knob", "before_text", "after_text", "why", "restart", "risk", "loss")
    told = [{**c, "restart": "needed" if c["restart"] else "no"} for c in shown["changes"]]
    rows = [[text(c[k]) for k in keys] for c in told]
    if rows:
        print_table(COLUMNS, rows)
    if shown["memory_bytes"]:
        typer.echo(f"memory: at most {shown['memory_bytes'] / 2**30:.2f} GB")
    for word in ("errors", "warnings"):
        for line in shown[word]:
            typer.echo(printable(f"{word[:-1]}: {line}"))
    for knob in shown["unchanged"]:
        typer.echo(f"{knob} has this value already.")
