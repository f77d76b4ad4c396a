"""Opens storages by URL."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_plus

from tunekit import registry
from tunekit.errors import InvalidArgument, did_you_mean
from tunekit.shown import shown_url, split_url
from tunekit.storages.base import Storage
from tunekit.storages.memory.storage import MemoryStorage
from tunekit.storages.project import ProjectStorage

if TYPE_CHECKING:
    from tunekit.storages.sql.database import Database

ENDINGS = (".db", ".sqlite", ".sqlite3")
_EXPECTED = (
    'expected "memory://", "sqlite:///file.db", a path ending in .db, '
    '"postgresql://user:password@host/database", or "http://host:port/project" of a service'
)


def open_storage(
    url: str | os.PathLike[str] | Storage | None = None, *, must_exist: bool = False
) -> Storage:
    """Return the storage at a URL; a storage object is returned unchanged.

    Args:
        url: `None` or `memory://` for this process only; `sqlite:///relative.db`,
            `sqlite:////absolute.db` or just a path that ends in `.db`, `.sqlite` or `.sqlite3`;
            `postgresql://user:password@host:port/database` (also `postgres://`). With
            `?project=name` it shows the studies of that project only. `http://host:port/project`
            and `https://host/project` for a service that `tunekit serve` runs. Other
            distributions add schemes by entry points in the group `tunekit.storages`.
        must_exist: refuse a database without tunekit's tables instead of creating them.

    Raises:
        InvalidArgument: the URL cannot be parsed.
        MissingExtra: the driver of the database is not installed.
        StorageError: the database cannot be opened, or does not belong to tunekit.
        UnknownStudy: `must_exist` is set and the file does not exist.
        StorageUnreachable: the server does not answer.
        SchemaMismatch: a newer tunekit has written the database.
    """
    if url is None:
        return MemoryStorage()
    if not isinstance(url, str | os.PathLike):
        return _checked(url)
    text, project = _without_project(os.fspath(url).strip())
    if text.lower().startswith(("http://", "https://")) and project is not None:
        text, project = f"{text.rstrip('/')}/{quote(project, safe='')}", None
    opened = _opened(text, must_exist=must_exist)
    return opened if project is None else ProjectStorage(opened, project)


def _checked(given: Storage) -> Storage:
    """Return a storage object.

    Raises:
        InvalidArgument: it is something else.
    """
    if callable(getattr(given, "exchange", None)):
        return given
    kind, advice = type(given), "omit it to store nothing."
    if kind.__module__.startswith("optuna."):
        advice = "tk.from_optuna(study) copies a study that Optuna has stored."
    raise InvalidArgument(f"storage={kind.__name__} object: {_EXPECTED}, or a Storage; {advice}")


def _opened(text: str, *, must_exist: bool) -> Storage:
    scheme, found, _ = text.partition("://")
    if not found:
        if text.endswith(ENDINGS):
            return open_sql(text, must_exist=must_exist)
        raise InvalidArgument(
            f"storage {shown_url(text)!r}: {_EXPECTED}; omit it to store nothing."
        )
    scheme = scheme.lower()
    scheme = scheme.partition("+")[0] if scheme.endswith(("+psycopg2", "+pysqlite")) else scheme
    if not registry.is_name("storage", scheme):
        # Only the scheme is shown: the rest may hold a password.
        hint = did_you_mean(scheme, registry.names("storage"))
        raise InvalidArgument(f'storage URL with scheme "{scheme}"{hint}: {_EXPECTED}.')
    opened: Storage = registry.find("storage", scheme)(text, must_exist=must_exist)
    return opened


def open_memory(url: str, *, must_exist: bool) -> Storage:
    """Return an empty storage for this process only."""
    return MemoryStorage()


def open_sql(url: str, *, must_exist: bool) -> Storage:
    """Return the storage in the database at a URL."""
    from tunekit.storages.sql.storage import SQLStorage

    return SQLStorage(open_database(url), must_exist=must_exist)


def open_database(url: str) -> Database:
    """Return the database at a URL or path of SQLite or PostgreSQL; its tables are not touched.

    Raises:
        InvalidArgument: it is the URL of something else.
    """
    scheme, found, rest = url.partition("://")
    scheme = scheme.lower().partition("+")[0]
    if found and scheme in ("postgresql", "postgres"):
        from tunekit.storages.sql.postgresql import PostgreSQLDatabase

        return PostgreSQLDatabase(f"postgresql://{rest}")
    if scheme == "sqlite" or (not found and url.endswith(ENDINGS)):
        from tunekit.storages.sql.sqlite import SQLiteDatabase

        return SQLiteDatabase(_sqlite_path(rest) if found else url)
    raise InvalidArgument(
        f"{shown_url(url)!r} is not a database, expected a path ending in .db, "
        '"sqlite:///file.db" or "postgresql://user:password@host/database".'
    )


def _without_project(url: str) -> tuple[str, str | None]:
    """Return a URL without the project in its query, and the project."""
    scheme, found, rest = url.partition("://")
    login, place, query = split_url(rest)
    project, kept = None, []
    for part in query[1:].split("&"):
        name, _, value = part.partition("=")
        if name == "project":
            project = unquote_plus(value)
        elif part:
            kept.append(part)
    if not found or project is None:
        return url, None
    query = f"?{'&'.join(kept)}" if kept else ""
    return f"{scheme}://{login}{'@' if login else ''}{place}{query}", project


def _sqlite_path(rest: str) -> str:
    path = rest.removeprefix("/").partition("?")[0]
    if not rest.startswith("/") or not path or path == ":memory:":
        raise InvalidArgument(
            f'storage "{shown_url(f"sqlite://{rest}")}" names no file; write '
            '"sqlite:///file.db" for a file in this folder, '
            '"sqlite:////folder/file.db" for one elsewhere, "memory://" for none.'
        )
    return path
