"""Detects the schema revision of a database and upgrades it to ours.

The usual case, a current database, costs one query; Alembic is imported only to upgrade an older
one. An empty database gets its tables directly; a test compares them with the migrations.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, insert, inspect, select

import tunekit.storages.sql.access_tables
import tunekit.storages.sql.job_tables
import tunekit.storages.sql.oversight_tables
import tunekit.storages.sql.service_tables  # noqa: F401 - registers its tables
from tunekit.errors import DISTRIBUTION, SchemaMismatch, StorageError
from tunekit.storages.sql.database import Database
from tunekit.storages.sql.schema import HEAD, metadata, revision

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).parents[1] / "migrations"


def prepare(database: Database, *, may_create: bool = True, may_upgrade: bool = True) -> None:
    """Bring the schema of a database to `HEAD`; safe for concurrent processes.

    Raises:
        SchemaMismatch: a newer tunekit has written it, or an older one and it may not be
            upgraded.
        StorageError: the database cannot be read or written, or lacks tunekit's tables and
            they may not be created.
    """
    before = database.read(stored_revision)
    if before == HEAD:
        return
    if before is None and not may_create:
        raise foreign(database.url, database.read(lambda c: inspect(c).get_table_names()))
    if before is not None and not may_upgrade:
        raise SchemaMismatch(
            f'{database.url} has schema "{before}", expected "{HEAD}"; make a backup with '
            "`tunekit db backup`, then upgrade it with `tunekit db migrate`."
        )

    def work(connection: Connection) -> None:
        database.lock_schema(connection)
        found = stored_revision(connection)  # read again, as another process may have upgraded it
        if found is None:
            metadata.create_all(connection)
            connection.execute(insert(revision), {"version_num": HEAD})
        elif found != HEAD:
            upgrade(connection, found, database.url)

    database.write(work)


def foreign(url: str, tables: Sequence[str]) -> StorageError:
    """Return the error for a database without tunekit's tables, which names its content."""
    if {"studies", "trials", "trial_values"} <= set(tables):
        what = "a database of Optuna; open it with optuna.load_study"
    elif tables:
        more = ", ..." if len(tables) > 5 else ""
        what = f"a database of another program, with the tables {', '.join(tables[:5])}{more}"
    else:
        what = "an empty database"
    return StorageError(
        f"{url} holds no tunekit studies: it is {what}; nothing was changed. Give a database "
        "created by tk.study or `tunekit run`."
    )


def stored_revision(connection: Connection) -> str | None:
    """Return the revision of the tables, an empty text if unset, `None` without tables."""
    if not inspect(connection).has_table(revision.name):
        return None
    return connection.execute(select(revision.c.version_num)).scalar() or ""


def upgrade(connection: Connection, found: str, url: str) -> None:
    """Run the migrations from revision `found`, in the caller's transaction.

    Raises:
        SchemaMismatch: no migration knows the revision.
    """
    from alembic import command
    from alembic.script import ScriptDirectory

    config = migrations(connection)
    known = {s.revision for s in ScriptDirectory.from_config(config).walk_revisions()}
    if found and found not in known:
        raise SchemaMismatch(
            f'{url} has schema "{found}", expected "{HEAD}" or older: a newer tunekit has written '
            f"it; upgrade this one (pip install --upgrade {DISTRIBUTION})."
        )
    command.upgrade(config, "head")


def migrations(connection: Connection) -> Config:
    """Return Alembic's configuration for running the migrations on this connection."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
