"""`tunekit studies tag`, `rename`, `archive` and `restore`: what people find a study by."""

from __future__ import annotations

from typing import Annotated

import typer

from tunekit.cli.command import command, terminal
from tunekit.cli.options import Name, Storage


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    command(app, "tag")(tag)
    command(app, "rename")(rename)
    command(app, "archive")(archive)
    command(app, "restore")(restore)


def tag(
    name: Name,
    tags: Annotated[list[str] | None, typer.Argument(help="Tags to add.")] = None,
    remove: Annotated[
        list[str] | None, typer.Option("--remove", metavar="TAG", help="Tag to take away.")
    ] = None,
    storage: Storage = None,
) -> None:
    """Add tags to a study, or take some away, and print those that it has then."""
    from tunekit.cli.stores import open_existing
    from tunekit.errors import InvalidArgument
    from tunekit.shown import printable
    from tunekit.studies.labels import set_tags, tags_of

    opened = open_existing(storage)
    record = opened.get_study(name)
    before = tags_of(record.spec)
    if unknown := sorted(set(remove or ()) - {*before, *(tags or ())}):
        raise InvalidArgument(
            f'study "{name}" has no tag "{unknown[0]}"; it has {", ".join(before) or "none"}.'
        )
    after = sorted({*before, *(tags or ())} - set(remove or ()))
    if after != list(before):
        set_tags(opened, record.id, after)
    for text in after:
        typer.echo(printable(text))


def rename(
    name: Name,
    new: Annotated[str, typer.Argument(help="Its new name.")],
    storage: Storage = None,
) -> None:
    """Give a study another name; its workers go on."""
    from tunekit.cli.stores import open_existing

    opened = open_existing(storage)
    opened.rename_study(opened.get_study(name).id, new)
    terminal.print_line(f"{name} is called {new} now.")


def archive(name: Name, storage: Storage = None) -> None:
    """Stop a study and leave it out of lists; nothing is deleted."""
    from tunekit.cli.stores import open_existing
    from tunekit.studies import labels

    opened = open_existing(storage)
    labels.archive(opened, opened.get_study(name).id)
    terminal.print_line(f"{name} is archived; `tunekit studies restore {name}` brings it back.")


def restore(name: Name, storage: Storage = None) -> None:
    """Show an archived study in lists again; `tunekit resume` runs it."""
    from tunekit.cli.stores import open_existing
    from tunekit.studies import labels

    opened = open_existing(storage)
    labels.restore(opened, opened.get_study(name).id)
    terminal.print_line(f"{name} is back in lists, stopped; `tunekit resume {name}` goes on.")
