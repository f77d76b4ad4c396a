"""Prints results on stdout, as a table for people or as JSON, YAML or CSV for programs."""

from __future__ import annotations

import csv
import io
import json
import math
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer

from tunekit.cli.options import Format, ListFormat
from tunekit.errors import InvalidArgument, did_you_mean
from tunekit.shown import printable, without_secrets

if TYPE_CHECKING:
    from rich.console import Console

VERSION = 1
"""Version of the JSON and YAML formats; increases when a key is renamed or removed."""

SHORT = 12
"""Width, in characters, up to which a column is not folded."""
MIN_FOLDED = 6
"""Minimum width of a folded column, in characters."""

Record = Mapping[str, Any]


def emit_list(
    key: str,
    records: Sequence[Record],
    form: ListFormat,
    *,
    columns: Sequence[str],
    fields: str | None = None,
) -> None:
    """Print records; a table shows the given columns, other formats all keys.

    Args:
        key: key of the list in JSON and YAML.
        records: nested mappings, all of the same shape.
        form: output format.
        columns: columns of the table, if `fields` is not given.
        fields: comma-separated dotted names, or names of whole groups, for example `params`.

    Raises:
        InvalidArgument: an unknown field.
    """
    flat = [flatten(r) for r in records]
    if form in (ListFormat.JSON, ListFormat.YAML) and fields is None:
        _document({key: [plain(r) for r in records]}, form)
        return
    known = _columns(flat)
    if fields is not None:
        chosen = _chosen(fields, known) if flat else []
    else:
        chosen = list(columns) if form is ListFormat.TABLE else known
    rows = [{name: row.get(name) for name in chosen} for row in flat]
    if form is ListFormat.TABLE:
        print_table(chosen, [[text(row[name]) for name in chosen] for row in rows])
    elif form is ListFormat.CSV:
        typer.echo(_csv(chosen, rows), nl=False)
    else:
        _document({key: rows}, form)


def emit_one(key: str, record: Record, form: Format) -> None:
    """Print one record, as a table of names and values or as a mapping under `key`."""
    if form is Format.TABLE:
        print_table((), [[text(name), text(value)] for name, value in flatten(record).items()])
    else:
        _document({key: plain(record)}, form)


def emit_found(key: str, found: object, record: Record, form: Format) -> None:
    """Print what was found: `str(found)` for people, or the record as a mapping under `key`."""
    if form is Format.TABLE:
        typer.echo(printable(str(found)))
    else:
        _document({key: plain(record)}, form)


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows on stdout, fitted to a terminal, or in full and without a frame elsewhere."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    console = stdout_console()
    table = Table(
        box=box.SIMPLE_HEAD if console.is_terminal else None,
        show_header=bool(header),
        pad_edge=False,
        padding=(0, 1, 0, 0) if console.is_terminal else (0, 1),
    )
    names = [text(name) for name in header] or [""] * max(map(len, rows), default=0)
    longest = [max(len(cell) for cell in column) for column in zip(names, *rows, strict=True)]
    # On a narrow terminal, fold long texts and keep numbers in one piece.
    widths = [n if n <= SHORT else None for n in longest]
    fits = sum(2 + (width or MIN_FOLDED) for width in widths) < console.width
    for name, width in zip(names, widths, strict=True):
        table.add_column(name, overflow="fold", min_width=width if fits else None)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # Text: a "[" in a name is not markup
    if console.is_terminal:
        console.print(table)
        return
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        typer.echo(line.rstrip())


def stdout_console() -> Console:
    """Return a Rich console on stdout, of unlimited width unless it is a terminal."""
    from rich.console import Console

    console = Console(file=sys.stdout, highlight=False)
    if not console.is_terminal:
        console.width = 100_000
    return console


def flatten(record: Record, prefix: str = "") -> dict[str, Any]:
    """Return the record with dotted keys instead of nested mappings."""
    out: dict[str, Any] = {}
    for name, value in record.items():
        if isinstance(value, Mapping):
            out |= flatten(value, f"{prefix}{name}.")
        else:
            out[f"{prefix}{name}"] = value
    return out


def plain(value: Any) -> Any:
    """Convert a value to plain JSON, with secrets removed from URLs.

    NaN and infinities, which JSON cannot represent, become texts.
    """
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, Mapping):
        return {without_secrets(str(k)): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def text(value: Any) -> str:
    """Format a value for a table."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return ", ".join(text(v) for v in value)
    return printable(" ".join(str(value).split()))


def params_text(params: Mapping[str, Any] | None) -> str:
    """Format a point in one line, with the last part of each path."""
    return " ".join(f"{text(k.rsplit('.', 1)[-1])}={text(v)}" for k, v in (params or {}).items())


def moment(seconds: float | None) -> str | None:
    """Format seconds since 1970 as ISO 8601 in UTC."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _columns(rows: Sequence[Record]) -> list[str]:
    """Return all names in the rows, with those of one group (`params.*`) adjacent."""
    names = dict.fromkeys(name for row in rows for name in row)
    groups = list(dict.fromkeys(name.partition(".")[0] for name in names))
    return sorted(names, key=lambda name: groups.index(name.partition(".")[0]))


def _chosen(fields: str, known: Sequence[str]) -> list[str]:
    names: list[str] = []
    for field in (f.strip() for f in fields.split(",")):
        found = [n for n in known if n == field or n.startswith(f"{field}.")]
        if not found:
            raise InvalidArgument(
                f'--fields: unknown field "{field}"{did_you_mean(field, known)}; expected '
                f"{', '.join(known)}."
            )
        names.extend(found)
    return list(dict.fromkeys(names))


def _document(content: Mapping[str, Any], form: Format | ListFormat) -> None:
    document = {"version": VERSION, **{k: plain(v) for k, v in content.items()}}
    if form.value == "json":
        written = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
        # JSON allows raw characters that must not reach a terminal or cannot be encoded.
        typer.echo("".join(c if c.isprintable() or c == "\n" else _escaped(c) for c in written))
        return
    import yaml

    written = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    if not all(c.isprintable() or c == "\n" for c in written):  # YAML allows some of them raw
        written = yaml.safe_dump(document, sort_keys=False)
    typer.echo(written, nl=False)


def _csv(names: Sequence[str], rows: Sequence[Record]) -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(names), lineterminator="\n")
    writer.writerow({name: printable(name) for name in names})
    writer.writerows([{k: _cell(v) for k, v in row.items()} for row in rows])
    return buffer.getvalue()


def _cell(value: Any) -> Any:
    return value if value is None or isinstance(value, int | float) else printable(str(value))


def _escaped(character: str) -> str:
    return json.dumps(character)[1:-1] if character != "\x7f" else "\\u007f"
