"""`tunekit pause`, `stop` and `cancel`: control the workers of a study."""

from __future__ import annotations

import typer

from tunekit.cli import studies
from tunekit.cli.command import command, terminal
from tunekit.cli.options import Name, Storage


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    command(app, "pause", rich_help_panel=PANEL)(pause)
    command(app, "stop", rich_help_panel=PANEL)(stop)
    command(app, "cancel", rich_help_panel=PANEL)(cancel)
    short = "Write all trials of a study to a file; short for `tunekit studies export`."
    command(app, "export", rich_help_panel="Results", help=short)(studies.export)


PANEL = "A running study"


def pause(name: Name, storage: Storage = None) -> None:
    """Start no new trials in any process until `tunekit resume`; running trials continue."""
    _ask(name, storage, "paused", "no new trials start; running ones go on.")


def stop(name: Name, storage: Storage = None) -> None:
    """Let running trials finish, then end every process that works on the study."""
    _ask(name, storage, "stopped", "its workers leave when their running trials have finished.")


def cancel(name: Name, storage: Storage = None) -> None:
    """End running trials now, as CANCELLED, and every process that works on the study."""
    _ask(name, storage, "cancelled", "running trials end now, and its workers leave.")


def _ask(name: str, flag: str | None, state: str, promise: str) -> None:
    from tunekit.cli.stores import open_existing
    from tunekit.records import StudyState

    opened = open_existing(flag)
    record = opened.get_study(name)
    opened.set_state(record.id, StudyState(state))
    terminal.print_line(f"{name} is {state}: {promise} `tunekit resume {name}` goes on.")
