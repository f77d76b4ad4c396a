"""Queries of one's own, from SQL files."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from tunekit.errors import InvalidArgument
from tunekit_integrations.dbms.workloads.query_set import Query, QuerySet
from tunekit_integrations.dbms.workloads.session import as_failures, connect
from tunekit_integrations.dbms.workloads.statements import (
    is_limited,
    is_planned,
    order_columns,
    split,
)

_REMARK = re.compile(r"^\s*--\s*(name|weight)\s*:\s*(.+?)\s*$", re.MULTILINE)


class SqlFiles(QuerySet):
    """Runs the statements of files; a pass runs each as often as its weight says.

    Comments above a statement name it and say how often it runs:

        -- name: best customers
        -- weight: 3
        SELECT ...;

    Args:
        files: with statements that end in a semicolon.
        clients: sessions that share a pass.
        may_write: whether statements may change data; else the server refuses that.
        reset_file: statements that bring the data back to their first state, where they change.

    Raises:
        InvalidArgument: a file cannot be read or is empty, two statements have the same name, or
            a weight is not a positive whole number.
    """

    def __init__(
        self,
        files: Sequence[str | os.PathLike[str]],
        *,
        clients: int = 1,
        may_write: bool = False,
        reset_file: str | os.PathLike[str] | None = None,
    ) -> None:
        queries: dict[str, Query] = {}
        for file in files:
            for name, query in read_queries(Path(file)).items():
                if name in queries:
                    raise InvalidArgument(f'two statements have the name "{name}"; rename one.')
                queries[name] = query
        self._reset = [] if reset_file is None else split(_text(Path(reset_file)))
        super().__init__(
            f"sql {', '.join(Path(file).name for file in files)}",
            queries,
            clients=clients,
            is_read_only=not may_write,
        )

    def queries(self) -> Mapping[str, str]:
        """Return the statements that have a plan."""
        return {name: sql for name, sql in super().queries().items() if is_planned(sql)}

    def reset(self, url: str) -> None:
        """Run the statements of the reset file.

        Raises:
            TargetFailure: the server refused one, or was lost.
        """
        if not self._reset:
            return
        connection = connect(url)
        try:
            with as_failures(), connection.cursor() as cursor:
                for statement in self._reset:
                    cursor.execute(statement)
        finally:
            connection.close()


def read_queries(file: Path) -> dict[str, Query]:
    """Return name -> query of a file; without a name, a statement gets the file's and a number.

    Raises:
        InvalidArgument: the file cannot be read, or a name or a weight is faulty.
    """
    found: dict[str, Query] = {}
    for number, statement in enumerate(split(_text(file)), 1):
        remarks = dict(_REMARK.findall(statement))
        name = remarks.get("name", f"{file.stem} {number}")
        if name in found:
            raise InvalidArgument(f'{file}: two statements have the name "{name}"; rename one.')
        weight = remarks.get("weight", "1")
        if not re.fullmatch(r"[1-9][0-9]{0,5}", weight):
            raise InvalidArgument(
                f'{file}: the weight of "{name}" is "{weight}"; expected a whole number, '
                "how often a pass runs it."
            )
        found[name] = Query(
            statement,
            weight=int(weight),
            order=order_columns(statement),
            is_limited=is_limited(statement),
        )
    return found


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidArgument(f"the SQL file {file} cannot be read: {error}") from None
