"""Open the storage that a flag names, and read studies from it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from tunekit.cli.options import DEFAULT_URL
from tunekit.errors import UnknownStudy

if TYPE_CHECKING:
    from tunekit.history import History
    from tunekit.records import StudyRecord
    from tunekit.storages.base import Storage


def url_of(flag: str | None, file: str | None = None) -> str:
    """Return the storage URL: the flag's, the study file's, the environment's, the default."""
    return flag or file or os.environ.get("TUNEKIT_URL") or DEFAULT_URL


def sqlite_file(url: str) -> Path | None:
    """Return the file of an SQLite URL, `None` for any other storage."""
    scheme, found, rest = url.partition(":///")
    if found and scheme.partition("+")[0] == "sqlite":
        return Path(rest.partition("?")[0])
    return None if "://" in url else Path(url)


def open_existing(flag: str | None) -> Storage:
    """Return the storage that is there already: a question must not create a database.

    Raises:
        UnknownStudy: there is no such file.
        StorageError, StorageUnreachable, SchemaMismatch: it cannot be used.
    """
    from tunekit.storages.urls import open_storage

    url = url_of(flag)
    path = sqlite_file(url)
    if path is not None and path.suffix and not path.exists():
        raise UnknownStudy(
            f'no database at "{url}", expected one that `tunekit run` or `tunekit demo` has made; '
            "give another with --storage or $TUNEKIT_URL."
        )
    return open_storage(url)


def read_study(storage: Storage, name: str) -> tuple[StudyRecord, History]:
    """Return a study and all of its trials.

    Raises:
        UnknownStudy: no such name.
    """
    record = storage.get_study(name)
    return record, history_of(storage, record)


def history_of(storage: Storage, record: StudyRecord) -> History:
    """Return all trials of a study."""
    from tunekit.history import History

    space = record.spec.space and storage.spaces(record.id)[record.space_version]
    target = space.target if space else None
    history = History(record.spec.objectives, record.spec.constraints, target)
    changes = storage.changes(record.id)
    history.update(changes.trials, changes.cursor)
    return history
