"""Prepares statements on a PostgreSQL server, which then parses and plans each only once.

psycopg2 sends the text of a statement every time, and for statements of one row the server works
longer on the text than on the row. A prepared statement lives as long as its connection. Its name
follows from its text, so that the programs behind one connection pool agree on it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

Execute: TypeAlias = Callable[[str], object]

KEY = "tunekit prepared"
"""Where the `info` of a connection to PostgreSQL keeps its `PreparedStatements`."""

GROWTH = 4
"""Factor of a study's size at which its statements are planned again."""

# A pool of connections outside this process may hand each transaction to another server process.
# That one may lack the statement (26000), or have it from another client (42P05).
NOT_OURS = frozenset(("26000", "42P05"))

_PARAMETER = re.compile(r"%\((\w+)\)s")
_ARRAY = re.compile(r"CAST\(%\((\w+)\)s AS ([^\[]+\[\])\)")


@dataclass(frozen=True, slots=True)
class PreparedStatement:
    """A statement to prepare once and to execute often.

    Attributes:
        name: its name on the server.
        prepare: text that prepares it.
        execute: text that executes it, with parameters by name as psycopg2 takes them.
    """

    name: str
    prepare: str
    execute: str


@cache
def prepared(sql: str) -> PreparedStatement:
    """Return how to prepare and execute a statement with parameters such as `%(name)s`."""
    positions: dict[str, int] = {}

    def position(found: re.Match[str]) -> str:
        return f"${positions.setdefault(found[1], len(positions) + 1)}"

    text = _PARAMETER.sub(position, sql)
    # The server cannot tell the type of an array of NULLs, so these keep theirs.
    arrays = dict(_ARRAY.findall(sql))
    given = [f"%({n})s::{arrays[n]}" if n in arrays else f"%({n})s" for n in positions]
    name = f"tunekit_{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    call = f"EXECUTE {name}({', '.join(given)})" if given else f"EXECUTE {name}"
    return PreparedStatement(name, f"PREPARE {name} AS {text}", call)


class PreparedStatements:
    """The prepared statements of one connection.

    The server keeps the plan that suits the table's size at the first uses. With few trials it
    may well walk through all of them, so they are planned again whenever the study has grown.
    """

    def __init__(self) -> None:
        self._names: set[str] | None = set()
        self._replan_at = GROWTH

    def ready(self, sql: str, execute: Execute) -> str:
        """Return the text to execute in place of `sql`, prepared if need be.

        Args:
            sql: with parameters such as `%(name)s`.
            execute: executes a text without parameters on the connection.
        """
        if self._names is None:
            return sql
        statement = prepared(sql)
        if statement.name not in self._names:
            execute(statement.prepare)
            self._names.add(statement.name)
        return statement.execute

    def grown(self, n_trials: int, execute: Execute) -> None:
        """Note how many trials a study has, and drop the plans for far fewer."""
        if n_trials < self._replan_at:
            return
        self._replan_at = n_trials * GROWTH
        if self._names:
            execute("; ".join(f"DEALLOCATE {name}" for name in self._names))
            self._names.clear()

    def give_up(self) -> None:
        """Prepare and execute nothing more by name; another client's server process answers."""
        self._names = None
