"""What can be told of SQL statements without a server."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tunekit.errors import MissingExtra

if TYPE_CHECKING:
    from sqlglot import exp

DIALECTS = {"postgresql": "postgres", "mariadb": "mysql", "mysql": "mysql", "sqlite": "sqlite"}
"""System -> its dialect in sqlglot."""


def parse(sql: str, *, system: str = "postgresql") -> list[exp.Expression] | None:
    """Return the syntax tree of each statement, `None` where the parser does not understand.

    Raises:
        MissingExtra: sqlglot is not installed.
    """
    try:
        import sqlglot
        from sqlglot import errors, exp
    except ImportError:
        raise MissingExtra("knobs", "reading SQL") from None
    # It warns of each statement that it does not know, which is an answer here.
    logging.getLogger("sqlglot").setLevel(logging.ERROR)
    try:
        found = sqlglot.parse(sql, dialect=DIALECTS[system])
    except (errors.SqlglotError, RecursionError):
        return None
    return [tree for tree in found if isinstance(tree, exp.Expression)]


def is_limited(sql: str, *, system: str = "postgresql") -> bool:
    """Return whether a query shows only the first of its rows."""
    trees = parse(sql, system=system)
    return trees is not None and any(
        tree.args.get(part) for tree in trees[:1] for part in ("limit", "fetch", "offset")
    )


def order_columns(sql: str, *, system: str = "postgresql") -> tuple[int, ...]:
    """Return the positions of the result's columns that a query orders by.

    The columns stop where a key is none of the result's, as nobody can see that order in it.
    """
    from sqlglot import exp

    trees = parse(sql, system=system)
    if not trees or len(trees) != 1 or not isinstance(trees[0], exp.Query):
        return ()
    order = trees[0].args.get("order")
    if order is None or any(isinstance(column, exp.Star) for column in trees[0].selects):
        return ()
    positions: list[int] = []
    for key in order.expressions:
        position = _position(key.this, trees[0].selects)
        if position is None:
            break
        positions.append(position)
    return tuple(positions)


def _position(key: exp.Expr, selects: Sequence[exp.Expr]) -> int | None:
    from sqlglot import exp

    if isinstance(key, exp.Literal) and key.is_int:
        return int(key.this) - 1 if 0 < int(key.this) <= len(selects) else None
    for index, column in enumerate(selects):
        if key == column.unalias() or (
            isinstance(key, exp.Column) and not key.table and key.name == column.alias_or_name
        ):
            return index
    return None
