"""Which revision of the schema a database has, and how it gets to ours.

The usual case, a database that is current, costs one query; Alembic is imported only to change
an older one. An empty database gets its tables directly; a test holds them to the migrations.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, insert, inspect, select

from tunekit.errors import DISTRIBUTION, SchemaMismatch, StorageError
from tunekit.storages.sql.database import Database
from tunekit.storages.sql.schema import HEAD, metadata, revision

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).parents[1] / "migrations"


def prepare(database: Database, *, may_create: bool = True) -> None:
    """Bring the schema of a database to `HEAD`; several processes may do so at once.

    Raises:
        SchemaMismatch: a newer tunekit has written it.
        StorageError: the database cannot be read, or written where it has to be, or it has no
            tables of ours and none may be made.
    """
    before = database.read(stored_revision)
    if before == HEAD:
        return
    if before is None and not may_create:
        raise foreign(database.url, database.read(lambda c: inspect(c).get_table_names()))

    def work(connection: Connection) -> None:
        database.lock_schema(connection)
        found = stored_revision(connection)  # again: another process may have been faster
        if found is None:
            metadata.create_all(connection)
            connection.execute(insert(revision), {"version_num": HEAD})
        elif found != HEAD:
            upgrade(connection, found, database.url)

    database.write(work)


def foreign(url: str, tables: Sequence[str]) -> StorageError:
    """Return the error for a database without tables of ours, which says what it is."""
    if {"studies", "trials", "trial_values"} <= set(tables):
        what = "a database of Optuna; open it with optuna.load_study"
    elif tables:
        more = ", ..." if len(tables) > 5 else ""
        what = f"a database of another program, with the tables {', '.join(tables[:5])}{more}"
    else:
        what = "an empty database"
    return StorageError(
        f"{url} holds no studies of tunekit: it is {what}; nothing was changed. Give the database "
        "that tk.study or `tunekit run` has made."
    )


def stored_revision(connection: Connection) -> str | None:
    """Return the revision of the tables: empty before the first, `None` without any."""
    if not inspect(connection).has_table(revision.name):
        return None
    return connection.execute(select(revision.c.version_num)).scalar() or ""


def upgrade(connection: Connection, found: str, url: str) -> None:
    """Run the migrations from the revision that was found, in the caller's transaction.

    Raises:
        SchemaMismatch: no migration knows the revision.
    """
    from alembic import command
    from alembic.script import ScriptDirectory

    config = migrations(connection)
    known = {s.revision for s in ScriptDirectory.from_config(config).walk_revisions()}
    if found and found not in known:
        raise SchemaMismatch(
            f'{url} has schema "{found}", expected "{HEAD}" or an older one: a newer tunekit has '
            f"written it; upgrade this one (pip install --upgrade {DISTRIBUTION})."
        )
    command.upgrade(config, "head")


def migrations(connection: Connection) -> Config:
    """Return Alembic's configuration for running the migrations on this connection."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
