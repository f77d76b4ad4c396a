"""Copies all of tunekit's tables from one database into another one.

A backup is an SQLite file that every command can open. The copy reads one consistent state of the
source while others go on to write, and is committed as a whole or not at all, so it also moves
studies between SQLite and PostgreSQL.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Integer, Table, func, insert, inspect, select, text

from tunekit.errors import SchemaMismatch, StorageError
from tunekit.storages.sql.access_tables import projects
from tunekit.storages.sql.database import Database
from tunekit.storages.sql.revision import foreign, prepare, stored_revision
from tunekit.storages.sql.schema import HEAD, metadata, revision
from tunekit.storages.sql.sqlite import SQLiteDatabase

ROWS = 1000
"""Rows in memory at once."""


def back_up(source: Database, path: Path) -> int:
    """Write a backup of a database into a new file; return the number of rows.

    Raises:
        StorageError: the file exists, or the source holds no tables of tunekit.
        SchemaMismatch: the source has the tables of another version.
    """
    if path.exists():
        raise StorageError(f"{path} exists; give the name of a new file.")
    unfinished = path.with_name(f"{path.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    target = SQLiteDatabase(unfinished)
    try:
        copied = copy_tables(source, target)
        with (
            target.engine.connect() as connection
        ):  # one file, without a write-ahead log beside it
            connection.exec_driver_sql("PRAGMA journal_mode=DELETE")
    except BaseException:
        target.close()
        unfinished.unlink(missing_ok=True)
        raise
    target.close()
    unfinished.rename(path)
    return copied


def copy_tables(source: Database, target: Database) -> int:
    """Copy all rows into a database without studies; return their number.

    Raises:
        StorageError: the target has studies already, or the source is not tunekit's.
        SchemaMismatch: the source has the tables of another version.
    """
    found = source.read(stored_revision)
    if found is None:
        raise foreign(source.url, source.read(lambda c: inspect(c).get_table_names()))
    if found != HEAD:
        raise SchemaMismatch(
            f'{source.url} has schema "{found}", expected "{HEAD}"; upgrade it first with '
            "`tunekit db migrate`."
        )
    prepare(target)

    def work(write: Connection) -> int:
        target.lock_schema(write)
        if any(write.execute(select(table).limit(1)).first() for table in metadata.sorted_tables
               if table not in (revision, projects)):  # fmt: skip
            raise StorageError(
                f"{target.url} holds studies or accounts already; give an empty database."
            )
        write.execute(projects.delete())  # every new database has the default one
        with source.engine.connect() as read, read.begin():
            if source.dialect == "postgresql":  # else each statement sees another state
                read.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
            return sum(_copy(table, read, write) for table in metadata.sorted_tables)

    return target.write_once(work)


def _copy(table: Table, read: Connection, write: Connection) -> int:
    if table is revision:
        return 0
    count = 0
    rows = read.execution_options(yield_per=ROWS).execute(select(table)).mappings()
    for part in rows.partitions(ROWS):
        write.execute(insert(table), [dict(row) for row in part])
        count += len(part)
    if write.dialect.name == "postgresql":
        _continue_ids(table, write)
    return count


def _continue_ids(table: Table, write: Connection) -> None:
    """Make PostgreSQL assign ids after the copied ones."""
    column = table.autoincrement_column
    if column is None or not isinstance(column.type, Integer):
        return
    last = write.execute(select(func.max(column))).scalar()
    if last is not None:
        write.execute(
            select(func.setval(func.pg_get_serial_sequence(table.name, column.name), last))
        )
