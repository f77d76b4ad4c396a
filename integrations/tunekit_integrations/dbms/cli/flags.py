"""Declares the flags that several `tunekit knobs` commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Target = Annotated[
    str,
    typer.Argument(
        metavar="TARGET",
        help="URL of a server, or postgresql, mariadb or sqlite for a private one.",
    ),
]
TargetOptions = Annotated[
    list[str] | None,
    typer.Option("--target-option", metavar="NAME=VALUE", help="Of the target: ram_bytes=4e9."),
]
Restart = Annotated[
    str | None,
    typer.Option(
        "--restart",
        metavar="COMMAND",
        help="Allow restarts by this command; without it only what a reload takes is changed.",
    ),
]
Opened = Annotated[
    list[str] | None,
    typer.Option("--open", metavar="KNOB", help="Open a durability knob, such as fsync."),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
