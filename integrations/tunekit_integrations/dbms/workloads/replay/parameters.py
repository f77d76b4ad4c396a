"""Fills the parameters of recorded statements from the statistics of their columns."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tunekit_integrations.dbms.postgresql.session import ReconnectingSession
from tunekit_integrations.dbms.workloads.replay.recorded import Recorded
from tunekit_integrations.dbms.workloads.statements import parse

if TYPE_CHECKING:
    from sqlglot import exp

_PARAMETER = re.compile(r"\$([0-9]+)")
# What remains of `date '2024-01-31'` is no SQL; a cast says the same and is.
_TYPED = re.compile(r"\b(date|timestamptz|timestamp|time)\s+\$([0-9]+)", re.IGNORECASE)


class NotReplayed(Exception):
    """A statement cannot be replayed; the message says why."""


@dataclass(frozen=True, slots=True)
class ColumnStatistics:
    """What is known of a column's values.

    Attributes:
        type: as a cast names it.
        common, shares: most common values, and their shares of the rows.
        bounds: of a histogram of the other values, each bucket as frequent as the next.
    """

    type: str
    common: tuple[str, ...]
    shares: tuple[float, ...]
    bounds: tuple[str, ...]

    def draw(self, rng: np.random.Generator) -> str:
        """Return a value as text, as frequent as in the table."""
        place = rng.random()
        for value, share in zip(self.common, self.shares, strict=True):
            place -= share
            if place < 0:
                return value
        values = self.bounds or self.common
        return values[int(rng.integers(len(values)))]


@dataclass(frozen=True, slots=True)
class Placeholder:
    """Where a parameter stands: beside a column, or as the number of rows wanted.

    Attributes:
        table, column: that it is compared with; "" for a LIMIT.
        is_array: whether it is an array of such values.
    """

    table: str = ""
    column: str = ""
    is_array: bool = False


def slots_of(sql: str) -> dict[int, Placeholder]:
    """Return parameter -> where it stands.

    Raises:
        NotReplayed: the statement is not understood, or one stands where nothing says its value.
    """
    from sqlglot import exp

    tree = parsed(sql)
    found: dict[int, Placeholder] = {}
    for parameter in tree.find_all(exp.Placeholder):
        number = int(parameter.name.removeprefix("p"))
        slot = _slot(parameter)
        if slot is None:
            raise NotReplayed(f"parameter ${number} is compared with no column")
        found[number] = slot
    return found


def parsed(sql: str) -> exp.Expression:
    """Return the syntax tree of a recorded statement, with placeholders for its parameters.

    Raises:
        NotReplayed: it is not understood.
    """
    # The parser takes "$1 AND $" for the delimiter of a string.
    trees = parse(_PARAMETER.sub(r":p\1", sql))
    if not trees or len(trees) != 1:
        raise NotReplayed("its text is not understood, or was cut off")
    return trees[0]


def _slot(parameter: exp.Expression) -> Placeholder | None:
    from sqlglot import exp

    node: exp.Expr | None = parameter.parent
    is_array = False
    while isinstance(node, (exp.Paren, exp.Cast, exp.Any, exp.Neg)):
        is_array = is_array or isinstance(node, exp.Any)
        node = node.parent
    if isinstance(node, exp.Limit):
        return Placeholder()
    if not isinstance(node, exp.Predicate):
        return None
    for side in node.iter_expressions():
        inner = side.unnest()
        while isinstance(inner, exp.Cast):
            inner = inner.this.unnest()
        if isinstance(inner, exp.Column):
            table = _table(inner)
            return Placeholder(table, inner.name, is_array) if table else None
    return None


def _table(column: exp.Column) -> str | None:
    """Return the table of a column, looked up from its own query outwards."""
    from sqlglot import exp

    query = column.find_ancestor(exp.Select, exp.Update, exp.Delete)
    while query is not None:
        tables = [t for t in query.find_all(exp.Table) if t.find_ancestor(exp.Select) is query]
        if not column.table and len(tables) == 1:
            return _named(tables[0])
        for table in tables:
            if column.table and column.table == table.alias_or_name:
                return _named(table)
        if not column.table and tables:
            return "\n".join(_named(t) for t in tables)  # whichever has such a column
        query = query.find_ancestor(exp.Select)
    return None


def _named(table: exp.Table) -> str:
    from sqlglot import exp

    parts = [part for part in (table.args.get("db"), table.this) if part is not None]
    return ".".join(part.sql(dialect="postgres") for part in parts if isinstance(part, exp.Expr))


def columns_of(
    session: ReconnectingSession, slots: Mapping[int, Placeholder]
) -> dict[int, ColumnStatistics]:
    """Return parameter -> the column that it is compared with.

    Raises:
        NotReplayed: there is no such column, or the server has no statistics of it.
    """
    return {number: _column(session, slot) for number, slot in slots.items() if slot.column}


def _column(session: ReconnectingSession, slot: Placeholder) -> ColumnStatistics:
    for table in slot.table.split("\n"):
        rows = session.run(
            "SELECT format_type(a.atttypid, NULL), s.most_common_vals::text::text[],"
            " s.most_common_freqs, s.histogram_bounds::text::text[]"
            " FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
            " JOIN pg_namespace n ON n.oid = c.relnamespace"
            " LEFT JOIN pg_stats s ON s.schemaname = n.nspname AND s.tablename = c.relname"
            " AND s.attname = a.attname AND NOT s.inherited"
            " WHERE c.oid = to_regclass(%s) AND a.attname = %s AND NOT a.attisdropped",
            (table, slot.column),
        )
        for kind, common, shares, bounds in rows:
            if not common and not bounds:
                raise NotReplayed(f"there are no statistics of {table}.{slot.column}; ANALYZE it")
            return ColumnStatistics(
                kind, tuple(common or ()), tuple(shares or ()), tuple(bounds or ())
            )
    raise NotReplayed(f"no table of it has a column {slot.column}")


def filled(
    statement: Recorded,
    slots: Mapping[int, Placeholder],
    columns: Mapping[int, ColumnStatistics],
    rng: np.random.Generator,
) -> str:
    """Return the statement with values drawn for its parameters.

    A LIMIT gets the mean number of rows that the statement returned.
    """

    def value(match: re.Match[str]) -> str:
        number = int(match[1])
        if number not in columns:
            return str(max(round(statement.rows / max(statement.calls, 1)), 1))
        text, kind = columns[number].draw(rng), columns[number].type
        if slots[number].is_array:
            return f"ARRAY[{_quoted(text)}]::{kind}[]"
        return f"{_quoted(text)}::{kind}"

    return _PARAMETER.sub(value, statement.sql)


def with_casts(sql: str) -> str:
    """Return SQL in which typed constants that were taken out are casts again."""
    return _TYPED.sub(r"$\2::\1", sql)


def _quoted(text: str) -> str:
    from psycopg2.extensions import QuotedString

    adapted = QuotedString(text)
    adapted.encoding = "utf-8"
    return str(adapted.getquoted().decode("utf-8"))
