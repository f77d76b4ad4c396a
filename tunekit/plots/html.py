"""Writes tables and small lines as HTML, with every text of a user escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from tunekit.plots.figure import FigureTable
from tunekit.plots.palette import LOOKS
from tunekit.plots.tables import Cell
from tunekit.plots.texts import amount, label, shown_of

MAX_CELL = 120
"""Characters of a cell."""
MAX_SPARKS = 120
"""Points of a sparkline."""


def cell_text(cell: Cell) -> str:
    """Return what a cell shows: numbers with four digits, nothing for `None`."""
    if cell is None:
        return ""
    return amount(cell) if isinstance(cell, float) else label(str(cell), MAX_CELL)


def table_html(table: FigureTable, most: int) -> str:
    """Return a table of at most `most` rows, which says how many there are."""
    head = "".join(f"<th>{escape(label(name))}</th>" for name in table.columns)
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(cell_text(cell))}</td>" for cell in row) + "</tr>"
        for row in table.rows[:most]
    )
    n = len(table.rows)
    caption = f"<caption>{shown_of(most, n, 'row')}</caption>" if n > most else ""
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def sparkline(values: Sequence[float], alt: str) -> str:
    """Return a small line of finite numbers as SVG."""
    step = max(1, -(-len(values) // MAX_SPARKS))
    shown = [*values[::step], *values[-1:]]
    low, high = min(shown), max(shown)
    span = (high / 2 - low / 2) or 1.0  # half, since the whole may overflow
    points = " ".join(
        f"{i * 160 / max(1, len(shown) - 1):.1f},{30 - 28 * ((v / 2 - low / 2) / span):.1f}"
        for i, v in enumerate(shown)
    )
    return (
        f'<svg width="160" height="32" viewBox="0 0 160 32" role="img" aria-label="{escape(alt)}">'
        f'<polyline fill="none" stroke="{LOOKS["best"].color}" stroke-width="1.5" '
        f'points="{points}"/></svg>'
    )
