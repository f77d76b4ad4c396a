"""`tunekit studies pairs`: a set to fine-tune a language model on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunekit.cli.command import command, terminal
from tunekit.cli.options import Storage


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    command(app, "pairs")(pairs)


def pairs(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Studies; by default all.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="JSONL file; default: stdout.")
    ] = None,
    storage: Storage = None,
) -> None:
    """Write (workload, best configuration) pairs as JSONL, to fine-tune a language model on.

    Each line is a conversation: the profile of a study's workload and its space, and the best
    point found. Studies have a profile if they were begun with `enqueue_first_points`, or carry
    one in the attribute "profile".
    """
    from tunekit.cli.stores import open_existing
    from tunekit.shown import counted
    from tunekit.studies.export import write_whole
    from tunekit.studies.tuning_pairs import tuning_pairs

    lines = list(tuning_pairs(open_existing(storage), names or ()))
    text = "".join(f"{line}\n" for line in lines)
    if output is None:
        typer.echo(text, nl=False)
    else:
        write_whole(output, lambda partial: partial.write_text(text, "utf-8"))
    terminal.print_line(f"{counted(len(lines), 'pair')}.")
