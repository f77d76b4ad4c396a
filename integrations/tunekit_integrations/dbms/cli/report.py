"""`tunekit knobs report`: the verdict in the terminal, as JSON, or as one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunekit.cli.options import Format, Name, OneFormat, Storage

if TYPE_CHECKING:
    from tunekit.analysis.charts.knob_records import KnobsChart
    from tunekit.plots.figure import FigureTable
    from tunekit.storages.base import Storage as Store


def report(
    name: Name,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write one HTML file.")
    ] = None,
    storage: Storage = None,
    form: OneFormat = Format.TABLE,
) -> None:
    """Show the verdict, before and after, the changed knobs, and what was rejected and why."""
    from tunekit.cli.stores import open_existing

    show(open_existing(storage), name, html, form)


def show(storage: Store, name: str, html: Path | None, form: Format) -> None:
    """Print the report on a study of knobs, and write its HTML if asked.

    Raises:
        UnknownStudy: there is no such study.
        InvalidArgument: it tunes no knobs.
    """
    from tunekit.analysis.charts.knobs import knobs_chart
    from tunekit.cli.output import emit_one
    from tunekit.cli.stores import read_study
    from tunekit.errors import InvalidArgument
    from tunekit.storages.codec import to_dict

    record, history = read_study(storage, name)
    chart = knobs_chart(record.spec.attrs, history, seq=record.seq)
    if chart.reason:
        raise InvalidArgument(f'study "{name}": {chart.reason}; expected one of `knobs tune`.')
    if form is Format.TABLE:
        _print(chart)
    else:
        emit_one("knobs", to_dict(chart), form)
    if html is not None:
        _write(storage, name, html)


def _print(chart: KnobsChart) -> None:
    from tunekit.plots.knobs import changes_table, measures_table, rejections_table
    from tunekit.shown import printable

    head = f"{chart.server}, {chart.workload}" if chart.server else "no verdict yet"
    for line in (head, chart.sentence, *chart.method, *chart.warnings):
        if line:
            typer.echo(printable(line))
    for title, rows in (
        ("before and after", measures_table(chart)),
        ("changed knobs", changes_table(chart)),
        ("rejected", rejections_table(chart)),
    ):
        _print_table(title, rows)


def _print_table(title: str, rows: FigureTable) -> None:
    from tunekit.cli.output import print_table, text

    if rows.rows:
        typer.echo(f"\n{title}")
        print_table(rows.columns, [[text(cell) for cell in row] for row in rows.rows])


def _write(storage: Store, name: str, path: Path) -> None:
    from tunekit.driver.study_reader import StudyReader
    from tunekit.errors import InvalidArgument
    from tunekit.studies.export import write_whole
    from tunekit.studies.report import report_html

    if path.suffix != ".html":
        raise InvalidArgument(f"--html {str(path)!r}: expected a name ending in .html.")
    reader = StudyReader(storage, storage.get_study(name))
    text = report_html(reader)
    typer.echo(str(write_whole(path, lambda partial: partial.write_text(text, "utf-8"))), err=True)
