"""Commands of other distributions: entry points in the group `tunekit.commands`.

An entry point names a Typer app, which becomes a group of commands, in the panel of the help that
its `rich_help_panel` names. Reading entry points costs a process about 50 ms, so it is done for
help, for completion and for a name that is not a command of tunekit's own, and never otherwise.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

GROUP = "tunekit.commands"
PANEL = "More"


class PluggedGroup(TyperGroup):
    """The top group: tunekit's own commands, then those of other distributions."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands, own ones first."""
        own = super().list_commands(ctx)
        return [*own, *sorted(set(_entries()) - set(own))]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command; one that cannot be loaded says why when it is called."""
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        entry = _entries().get(cmd_name)
        return None if entry is None else _loaded(cmd_name, entry)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that the words name; an unknown one is looked for in the groups."""
        try:
            return super().resolve_command(ctx, args)
        except Exception as error:  # UsageError of the Click that Typer brings
            nested = _in_groups(self, ctx, args[0])
            if nested and isinstance(message := getattr(error, "message", None), str):
                error.message = f"{message.rstrip('.')}; there is {nested}."  # type: ignore[attr-defined]
            raise


def _in_groups(top: TyperGroup, ctx: Any, word: str) -> str:
    """Return the commands of that name one level below, as they are typed."""
    groups = {name: top.get_command(ctx, name) for name in top.list_commands(ctx)}
    having = [name for name, group in groups.items() if word in getattr(group, "commands", {})]
    return " or ".join(f"`tunekit {name} {word}`" for name in having)


@cache
def _entries() -> dict[str, Any]:
    """Return name -> entry point; the first of a name counts."""
    from importlib.metadata import entry_points

    found: dict[str, Any] = {}
    for entry in entry_points(group=GROUP):
        found.setdefault(entry.name, entry)
    return found


def _loaded(name: str, entry: Any) -> Any:
    try:
        app = entry.load()
        if not isinstance(app, typer.Typer):
            raise TypeError(f"it is a {type(app).__name__}, expected a typer.Typer")
    except Exception as error:  # whatever a foreign module does, other commands work
        return _broken(name, f"{entry.value} cannot be loaded: {error}")
    made = get_group(app)
    made.name = name
    chosen = app.rich_help_panel
    made.rich_help_panel = chosen if isinstance(chosen, str) else PANEL
    return made


def _broken(name: str, why: str) -> TyperCommand:
    from tunekit.shown import printable

    def call() -> None:
        typer.echo(f"tunekit: {printable(why)}", err=True)
        raise typer.Exit(1)

    made = TyperCommand(name, callback=call, help=f"Broken: {printable(why)}")
    made.rich_help_panel = PANEL
    return made
