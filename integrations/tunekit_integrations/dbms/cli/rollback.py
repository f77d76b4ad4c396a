"""`tunekit knobs rollback`: brings servers back that a killed run, or `apply`, has changed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunekit.cli.command import terminal
from tunekit_integrations.dbms.cli.flags import Restart, TargetOptions, Yes

if TYPE_CHECKING:
    from tunekit_integrations.dbms.journal import Journal, Journals


def rollback(
    target: Annotated[
        str | None,
        typer.Argument(metavar="[TARGET]", help="URL of the server; by default of all journals."),
    ] = None,
    files: Annotated[
        bool,
        typer.Option("--files", help="Write the files of a server back that does not start."),
    ] = False,
    restart: Restart = None,
    target_option: TargetOptions = None,
    journals: Annotated[
        Path | None, typer.Option("--journals", metavar="FOLDER", help="Where journals lie.")
    ] = None,
    yes: Yes = False,
) -> None:
    """Give servers the configuration back that they had before.

    A run that was killed leaves a journal; it is used first. Without one, what `apply` changed
    last is taken back, and you are asked.
    """
    from tunekit_integrations.dbms.journal import Journals

    kept = Journals(journals)
    found = _chosen(kept, target, target_option, restart)
    if not found:
        terminal.print_line("no server has a rollback journal; nothing to do.")
        return
    for journal in found:
        if journal.purpose == "apply" and not yes:
            typer.confirm(f"Take back what was applied to {journal.url}?", abort=True, err=True)
        _bring_back(journal, kept, target or journal.url, target_option, restart, files=files)


def _chosen(
    journals: Journals, target: str | None, options: list[str] | None, restart: str | None
) -> list[Journal]:
    """Return one journal a server: that of a killed run, else that of `apply`."""
    from tunekit.shown import shown_url

    everything = journals.all()
    if target is not None:
        named = [j for j in everything if j.url == shown_url(target)]
        everything = named or _of_running(everything, target, options, restart)
    by_server: dict[str, Journal] = {}
    for journal in sorted(everything, key=lambda j: j.purpose == "tune"):
        by_server[repr(sorted(journal.snapshot.identity.items()))] = journal
    return list(by_server.values())


def _of_running(
    everything: list[Journal], target: str, options: list[str] | None, restart: str | None
) -> list[Journal]:
    """Return the journals of a server that runs, whatever its address was called before."""
    from tunekit_integrations.dbms.cli.failures import failures_told
    from tunekit_integrations.dbms.cli.targets import close, open_target

    if not everything:
        return []
    with failures_told():
        _, server = open_target(target, options, restart)
        try:
            identity = dict(server.snapshot().identity)
        finally:
            close(server)
    return [j for j in everything if dict(j.snapshot.identity) == identity]


def _bring_back(
    journal: Journal,
    journals: Journals,
    where: str,
    options: list[str] | None,
    restart: str | None,
    *,
    files: bool,
) -> None:
    from tunekit_integrations.dbms.cli.failures import failures_told
    from tunekit_integrations.dbms.cli.targets import close, open_target
    from tunekit_integrations.dbms.guard import restore_files, rolled_back

    if files:
        for path in restore_files(journal):
            typer.echo(f"written back: {path}")
        terminal.print_line("start the server, then run `tunekit knobs rollback` without --files.")
        return
    with failures_told(), journals.held(journal.snapshot.identity):
        _, server = open_target(where, options, restart)
        try:
            rolled_back(server, journal, journals)
        finally:
            close(server)
    typer.echo(f"{journal.url} has its own configuration back.")
