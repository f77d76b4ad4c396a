"""`tunekit studies widen` and `narrow`: give a study a new version of its space."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunekit.cli.command import command, terminal
from tunekit.cli.options import Format, Name, OneFormat, Storage

if TYPE_CHECKING:
    from tunekit.spaces import Scalar, Space

Path = Annotated[str, typer.Argument(help="Path of the parameter, such as model.svm.C.")]
Low = Annotated[float | None, typer.Option("--lo", help="New lower bound.")]
High = Annotated[float | None, typer.Option("--hi", help="New upper bound.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    command(app, "widen")(widen)
    command(app, "narrow")(narrow)


def widen(
    name: Name,
    path: Path,
    lo: Low = None,
    hi: High = None,
    choice: Annotated[
        list[str] | None, typer.Option("--choice", help="Choice to add, as JSON or text.")
    ] = None,
    dry_run: DryRun = False,
    storage: Storage = None,
    form: OneFormat = Format.TABLE,
) -> None:
    """Widen the range or the choices of a parameter; all old trials stay valid."""
    from tunekit.spaces import versions

    def change(space: Space) -> Space:
        added = [read_value(text) for text in choice or ()]
        return versions.widen(space, path, **_bounds(space, path, lo, hi), choices=added)

    _edit(name, change, storage, form, dry_run=dry_run)


def narrow(
    name: Name,
    path: Path,
    lo: Low = None,
    hi: High = None,
    without: Annotated[
        list[str] | None, typer.Option("--without", help="Choice to remove, as JSON or text.")
    ] = None,
    dry_run: DryRun = False,
    storage: Storage = None,
    form: OneFormat = Format.TABLE,
) -> None:
    """Narrow the range or the choices of a parameter; no sampler sees the trials outside."""
    from tunekit.spaces import versions

    def change(space: Space) -> Space:
        kept = _kept(space, path, without or [])
        return versions.narrow(space, path, **_bounds(space, path, lo, hi), choices=kept)

    _edit(name, change, storage, form, dry_run=dry_run)


def read_value(text: str) -> Scalar:
    """Return a value written as JSON, or as a bare text."""
    import json

    try:
        value: Scalar = json.loads(text)
    except ValueError:
        return text
    return value


def _kept(space: Space, path: str, without: list[str]) -> list[Scalar]:
    """Return the choices that stay, none if no choice is to be removed."""
    from tunekit.errors import InvalidArgument
    from tunekit.spaces import Categorical

    if not without:
        return []
    domain = space.by_path[space.resolve(path)].domain
    choices = list(domain.choices) if isinstance(domain, Categorical) else []
    removed = [read_value(text) if read_value(text) in choices else text for text in without]
    for value in removed:
        if value not in choices:
            raise InvalidArgument(
                f'--without: "{path}" has no choice {value!r}; it has {choices!r}.'
            )
    return [c for c in choices if c not in removed]


def _bounds(space: Space, path: str, lo: float | None, hi: float | None) -> dict[str, Any]:
    """Return the bounds, whole for a parameter of whole numbers."""
    from tunekit.spaces import Float

    domain = space.by_path[space.resolve(path)].domain
    is_whole = not isinstance(domain, Float)
    return {
        key: int(value) if is_whole and value == int(value) else value
        for key, value in (("lo", lo), ("hi", hi))
        if value is not None
    }


def _edit(name: str, change: Any, storage: str | None, form: Format, *, dry_run: bool) -> None:
    from tunekit.cli.output import emit_one
    from tunekit.cli.stores import open_existing
    from tunekit.driver.study_reader import StudyReader
    from tunekit.shown import printable
    from tunekit.studies.space_edits import edit_space

    opened = open_existing(storage)
    reader = StudyReader(opened, opened.get_study(name))
    edit = edit_space(reader, change(reader.space), dry_run=dry_run)
    if form is not Format.TABLE:
        content = {
            "version": edit.version,
            "changes": list(edit.changes),
            "valid": edit.n_valid,
            "outside": edit.n_outside,
        }
        emit_one("edit", content, form)
        return
    for text in edit.changes:
        typer.echo(printable(text))
    would = "would be" if dry_run else "is"
    terminal.print_line(
        f"version {edit.version} of the space {would} in use; {edit.n_valid} trials lie in it, "
        f"{edit.n_outside} outside."
    )
