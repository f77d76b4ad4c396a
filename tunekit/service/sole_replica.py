"""Keeps a second replica of the service away from an SQLite file."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tunekit.errors import ServiceBusy
from tunekit.storages.sql.database import Database
from tunekit.storages.sql.sqlite import SQLiteDatabase


@contextmanager
def sole_replica(database: Database) -> Iterator[None]:
    """Hold the file lock of the one service of an SQLite file; do nothing for other databases.

    The kernel releases the lock when the process ends, however it ends.

    Raises:
        ServiceBusy: another process serves the file.
    """
    if not isinstance(database, SQLiteDatabase):
        yield
        return
    path = Path(f"{database.path}.serve")
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise ServiceBusy(
            f'another `tunekit serve` already serves "{database.path}"; use that one, or '
            "PostgreSQL for several replicas."
        ) from None
    try:
        yield
    finally:
        os.close(handle)
