"""What can be told of SQL statements without a server."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tunekit.errors import InvalidArgument, MissingExtra

if TYPE_CHECKING:
    from sqlglot import exp

DIALECTS = {"postgresql": "postgres", "mariadb": "mysql", "mysql": "mysql", "sqlite": "sqlite"}
"""System -> its dialect in sqlglot."""


_PLANNED = frozenset("SELECT WITH VALUES TABLE INSERT UPDATE DELETE MERGE".split())


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


def split(sql: str, *, system: str = "postgresql") -> list[str]:
    """Return the statements of a script, each with the comments above it.

    Raises:
        InvalidArgument: a string or a comment does not end.
        MissingExtra: sqlglot is not installed.
    """
    try:
        import sqlglot
        from sqlglot.errors import TokenError
    except ImportError:
        raise MissingExtra("knobs", "reading SQL") from None
    try:
        tokens = sqlglot.tokenize(sql, dialect=DIALECTS[system])
    except TokenError as error:
        raise InvalidArgument(f"the SQL cannot be read: {error}") from None
    statements: list[str] = []
    begins, has_words = 0, False
    for token in tokens:
        if token.token_type.name != "SEMICOLON":
            has_words = True
            continue
        if has_words:
            statements.append(sql[begins : token.start].strip())
        begins, has_words = token.end + 1, False
    return [*statements, sql[begins:].strip()] if has_words else statements


def is_planned(sql: str, *, system: str = "postgresql") -> bool:
    """Return whether the planner plays a part in a statement, by its first word."""
    import sqlglot

    tokens = sqlglot.tokenize(sql, dialect=DIALECTS[system])
    words = (token.text.upper() for token in tokens if token.text != "(")
    return next(words, "") in _PLANNED


def is_limited(sql: str, *, system: str = "postgresql") -> bool:
    """Return whether a query shows only the first of its rows."""
    trees = parse(sql, system=system)
    return trees is not None and any(
        tree.args.get(part) for tree in trees[:1] for part in ("limit", "fetch", "offset")
    )


def order_columns(sql: str, *, system: str = "postgresql") -> tuple[int, ...]:
    """Return the positions of the result's columns that a query orders by.

    The columns stop at a key that the result does not contain, because its order cannot be seen.
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
