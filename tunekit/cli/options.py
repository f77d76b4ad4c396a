"""Declares flags shared by several commands."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from tunekit.cli.completion import complete_study
from tunekit.cli.stores import DEFAULT_URL


class Format(StrEnum):
    """Output format of a single result."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


class ListFormat(StrEnum):
    """Output format of a list."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    CSV = "csv"


Name = Annotated[str, typer.Argument(help="Name of the study.", autocompletion=complete_study)]
Storage = Annotated[
    str | None,
    typer.Option(
        "--storage",
        metavar="URL",
        help=f"Where studies are stored. Default: $TUNEKIT_URL, else {DEFAULT_URL}.",
    ),
]
OneFormat = Annotated[Format, typer.Option("--format", help="Output format.")]
ManyFormat = Annotated[ListFormat, typer.Option("--format", help="Output format.")]
Fields = Annotated[
    str | None,
    typer.Option("--fields", metavar="A,B", help='Show only these, e.g. "number,params.lr".'),
]
Limit = Annotated[
    int | None, typer.Option("--limit", min=0, help="Show at most this many (0: no limit).")
]

# What runs a trial, and within which limits.
Workers = Annotated[int | None, typer.Option("--workers", "-w", help="Number of parallel trials.")]
Executor = Annotated[
    str | None, typer.Option("--executor", help="process (this machine) or ray (a cluster).")
]
Grace = Annotated[
    str | None,
    typer.Option("--grace", help="Give running trials back so long after SIGTERM: 30s, 5m."),
]
TrialTimeout = Annotated[
    str | None, typer.Option("--trial-timeout", help="A trial is killed after: 90s, 15m.")
]
Memory = Annotated[
    str | None, typer.Option("--memory", help="A trial is killed above: 512 (MiB), 4G.")
]
Resources = Annotated[
    list[str] | None,
    typer.Option("--resources", metavar="NAME=AMOUNT", help="Of each trial: gpu=1."),
]
Devices = Annotated[
    str | None, typer.Option("--devices", help="GPUs to use: 0,1. Default: all visible.")
]
