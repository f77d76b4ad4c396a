"""Runs statements that SQLAlchemy compiles once, directly on the cursor of the driver.

SQLAlchemy's `execute` costs several times what the driver does for a statement of one row. Hot
statements therefore go through here; all others, and the schema, use SQLAlchemy as usual.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from sqlalchemy import ARRAY, Connection, Dialect, Insert, bindparam, func, select
from sqlalchemy import cast as sql_cast
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.compiler import SQLCompiler

from tunekit.storages.sql.prepared import KEY, NOT_OURS, PreparedStatements

Values: TypeAlias = Mapping[str, Any]

_compiled: dict[tuple[str, ClauseElement, tuple[str, ...]], Compiled] = {}


@dataclass(frozen=True, slots=True)
class Compiled:
    """A statement in the language of one driver.

    Attributes:
        sql: its text.
        names: the parameters in order of their position; `None` if the driver takes them by name.
        constants: values of the parameters that the statement itself gives.
    """

    sql: str
    names: tuple[str, ...] | None
    constants: Values

    def bound(self, values: Values) -> Any:
        """Return parameters as the driver takes them."""
        if self.constants:
            values = {**self.constants, **values}
        return values if self.names is None else [values[name] for name in self.names]


class Cursor:
    """A cursor on the connection of a transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._dialect = connection.dialect
        self._cursor = connection.connection.cursor()
        self._prepared: PreparedStatements | None = connection.info.get(KEY)

    def rows(self, statement: ClauseElement, values: Values) -> list[Sequence[Any]]:
        """Return the rows of a query, as tuples in the order of its columns."""
        self._execute(statement, values)
        return list(self._call(self._cursor.fetchall))

    def mappings(self, statement: ClauseElement, values: Values) -> list[dict[str, Any]]:
        """Return the rows of a query by the names of its columns."""
        rows = self.rows(statement, values)
        if not rows:
            return []
        names = [column[0] for column in self._cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in rows]

    def change(self, statement: ClauseElement, values: Values) -> int:
        """Return how many rows a statement changed."""
        self._execute(statement, values)
        return int(self._cursor.rowcount)

    def insert(self, statement: Insert, rows: Sequence[Values]) -> None:
        """Insert one or more rows that all have the same columns."""
        compiled = _compile(statement, self._dialect, tuple(rows[0]))
        if compiled.names is not None:
            bound = [compiled.bound(row) for row in rows]
            self._call(self._cursor.executemany, compiled.sql, bound)
        else:
            columns = {column: [row[column] for row in rows] for column in rows[0]}
            self._run(compiled, compiled.bound(columns))

    def _execute(self, statement: ClauseElement, values: Values) -> None:
        compiled = _compile(statement, self._dialect)
        self._run(compiled, compiled.bound(values))

    def grown(self, n_trials: int) -> None:
        """Note how many trials a study has, because its growth may call for new plans."""
        if self._prepared is not None:
            self._prepared.grown(n_trials, self._execute_text)

    def _run(self, compiled: Compiled, bound: Any) -> None:
        sql = compiled.sql
        if self._prepared is not None:
            sql = self._prepared.ready(sql, self._execute_text)
        self._call(self._cursor.execute, sql, bound)

    def _execute_text(self, sql: str) -> None:
        self._call(self._cursor.execute, sql)

    def _call(self, call: Callable[..., Any], *arguments: Any) -> Any:
        driver = self._dialect.dbapi
        assert driver is not None
        try:
            return call(*arguments)
        except driver.Error as error:
            lost = self._dialect.is_disconnect(error, self._connection.connection, self._cursor)
            if lost:
                self._connection.invalidate(error)
            elif self._prepared is not None and getattr(error, "pgcode", "") in NOT_OURS:
                self._prepared.give_up()
            raise DBAPIError.instance(
                str(arguments[0]) if arguments else None,
                None,  # values may be large, and nobody reads them in an error
                error,
                driver.Error,
                dialect=self._dialect,
                connection_invalidated=lost,
            ) from error


def _compile(
    statement: ClauseElement, dialect: Dialect, columns: tuple[str, ...] = ()
) -> Compiled:
    """Return a statement in the language of a driver; `columns` are those of an INSERT."""
    key = (dialect.name, statement, columns)
    found = _compiled.get(key)
    if found is None:
        if columns and dialect.name == "postgresql":
            statement = _from_arrays(cast(Insert, statement), columns)
        made = cast(
            SQLCompiler, statement.compile(dialect=dialect, column_keys=list(columns) or None)
        )
        given = made.params
        constants = {n: given[n] for bind, n in made.bind_names.items() if not bind.required}
        names = tuple(made.positiontup or ()) if made.positional else None
        found = _compiled[key] = Compiled(str(made), names, {} if columns else constants)
    return found


def _from_arrays(statement: Insert, columns: tuple[str, ...]) -> Insert:
    """Return an INSERT of any number of rows, given as one array for each column."""
    types = statement.table.c
    arrays = [sql_cast(bindparam(name), ARRAY(types[name].type)) for name in columns]
    rows = func.unnest(*arrays).table_valued(*columns).render_derived(name="given")
    return statement.from_select(columns, select(*(rows.c[name] for name in columns)))
