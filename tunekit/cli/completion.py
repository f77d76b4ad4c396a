"""`tunekit completion`: complete commands, flags and study names in bash, zsh and fish."""

from __future__ import annotations

import threading
from enum import StrEnum
from typing import Annotated, Any

import typer

from tunekit.cli.command import command

LIMIT_S = 5.0
"""Seconds that a completion waits for the database."""


app = typer.Typer(
    help="Completion of commands and study names in the shell.", no_args_is_help=True
)


class Shell(StrEnum):
    """Supported shells."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


ShellFlag = Annotated[Shell | None, typer.Option("--shell", help="Default: your current shell.")]


@command(app, "show")
def show(ctx: typer.Context, shell: ShellFlag = None) -> None:
    """Print the completion script."""
    from typer.completion import show_callback

    show_callback(ctx, _NO_PARAMETER, _value(shell))


@command(app, "install")
def install(ctx: typer.Context, shell: ShellFlag = None) -> None:
    """Add the completion script to the start-up file of your shell."""
    from typer.completion import install_callback

    install_callback(ctx, _NO_PARAMETER, _value(shell))


_NO_PARAMETER: Any = None
"""Typer's callbacks expect a parameter of the root command, but do not use it."""


def _value(shell: Shell | None) -> str | bool:
    return True if shell is None else shell.value  # True: detect the shell


def complete_study(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return study names with this prefix, or none if the storage is slow or broken."""
    names: list[str] = []
    flag = ctx.params.get("storage")

    def look() -> None:
        from tunekit.cli.stores import open_existing

        try:
            names.extend(r.spec.name for r in open_existing(flag).list_studies())
        except Exception:
            names.clear()  # a completion cannot show an error

    seeker = threading.Thread(target=look, daemon=True)
    seeker.start()
    seeker.join(LIMIT_S)
    return [name for name in names if name.startswith(incomplete)]
