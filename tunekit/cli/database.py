"""`tunekit db`: back up, restore, check and upgrade a database, and import Optuna's studies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunekit.cli.command import FAILED, command, terminal
from tunekit.cli.options import Storage

if TYPE_CHECKING:
    from tunekit.storages.sql.storage import SQLStorage

app = typer.Typer(
    help="A database: backup, restore, check, migrate, import-optuna.", no_args_is_help=True
)


@command(app, "backup")
def backup(
    path: Annotated[Path, typer.Argument(help="New file for the backup.")],
    storage: Storage = None,
) -> None:
    """Write all studies, accounts and logs into a file, while others go on to work.

    The backup is an SQLite database: any command opens it with --storage.
    """
    from tunekit.cli.stores import url_of
    from tunekit.storages.sql.backup import back_up
    from tunekit.storages.urls import open_database

    source = open_database(url_of(storage))
    source.check_existing()
    count = back_up(source, path)
    source.close()
    terminal.print_line(f"{path}: {count} rows of {source.url}.")


@command(app, "restore")
def restore(
    path: Annotated[Path, typer.Argument(help="File written by `tunekit db backup`.")],
    storage: Storage = None,
) -> None:
    """Copy a backup, or any tunekit database file, into an empty database.

    This also moves studies from SQLite to PostgreSQL.
    """
    from tunekit.cli.stores import url_of
    from tunekit.storages.sql.backup import copy_tables
    from tunekit.storages.sql.sqlite import SQLiteDatabase
    from tunekit.storages.urls import open_database

    source = SQLiteDatabase(path)
    source.check_existing()
    target = open_database(url_of(storage))
    count = copy_tables(source, target)
    for database in (source, target):
        database.close()
    terminal.print_line(f"{target.url}: {count} rows from {path}.")


@command(app, "check")
def check(storage: Storage = None) -> None:
    """Look for damage: rows that contradict each other or cannot be read. Exit status 1 if any."""
    from tunekit.storages.sql.integrity import problems

    opened = _opened(storage, may_upgrade=False)
    found = list(problems(opened))
    for problem in found:
        typer.echo(problem)
    n = len(opened.list_studies()) if not found else 0
    opened.close()
    if found:
        terminal.print_line(f"{opened.url}: {len(found)} problems; restore a backup.")
        raise typer.Exit(FAILED)
    terminal.print_line(f"{opened.url}: sound, {n} studies.")


@command(app, "migrate")
def migrate(storage: Storage = None) -> None:
    """Upgrade the tables of an older version; make a backup first."""
    from tunekit.storages.sql.schema import HEAD

    opened = _opened(storage, may_upgrade=True)
    opened.close()
    terminal.print_line(f'{opened.url}: schema "{HEAD}".')


@command(app, "import-optuna")
def import_optuna(
    source: Annotated[str, typer.Argument(help="URL of Optuna's storage, or its journal file.")],
    storage: Storage = None,
    study: Annotated[
        list[str] | None, typer.Option(help="Only this study; may be given several times.")
    ] = None,
) -> None:
    """Copy Optuna's studies with their trials, curves and states; Optuna's stay as they are."""
    from tunekit.cli.stores import url_of
    from tunekit.optuna_studies import from_optuna, load_optuna_studies
    from tunekit.storages.urls import open_storage

    found = load_optuna_studies(source, study)
    opened = open_storage(url_of(storage))
    for optuna_study in found:
        copied = from_optuna(optuna_study, storage=opened)
        terminal.print_line(f"{copied.name}: {len(copied.trials)} trials.")
    opened.close()


def _opened(flag: str | None, *, may_upgrade: bool) -> SQLStorage:
    from tunekit.cli.stores import url_of
    from tunekit.storages.sql.storage import SQLStorage
    from tunekit.storages.urls import open_database

    return SQLStorage(open_database(url_of(flag)), must_exist=True, may_upgrade=may_upgrade)
