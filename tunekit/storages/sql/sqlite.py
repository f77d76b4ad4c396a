"""SQLite: one file on a local disk, many readers, one writer at a time."""

from __future__ import annotations

import os
import random
import sqlite3
import threading
from collections.abc import Iterable
from contextlib import AbstractContextManager, closing
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from sqlalchemy import URL, Connection, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from tunekit.errors import StorageDenied, StorageError, StorageUnreachable, UnknownStudy
from tunekit.storages.sql.database import Database
from tunekit.storages.sql.revision import foreign
from tunekit.storages.sql.schema import revision

BUSY_S = 30.0
PAUSES_S = 2e-4, 2e-3
"""Seconds between two attempts to write. SQLite would wait ever longer, up to 0.1 s, while those
who have just come ask often and get the lock."""
NETWORK_FILE_SYSTEMS = frozenset(
    "nfs nfs4 cifs smb3 smbfs afs ceph lustre gpfs beegfs glusterfs fuse.sshfs fuse.glusterfs "
    "fuse.ceph fuse.s3fs fuse.rclone fuse.gcsfuse fuse.juicefs fuse.davfs davfs".split()
)
_ADVICE = {
    "SQLITE_READONLY": "is read-only; make the file and its folder writable",
    "SQLITE_PERM": "may not be opened; change its permissions",
    "SQLITE_CANTOPEN": "cannot be opened; check that its folder exists and is writable",
    "SQLITE_NOTADB": "is not an SQLite database; give another path, or move the file away",
    "SQLITE_CORRUPT": "is damaged; restore it from a backup, or save what is left with "
    "\"sqlite3 FILE '.recover'\"",
    "SQLITE_FULL": "cannot grow because the disk is full; free some space and run again, no "
    "stored data are lost",
    "SQLITE_IOERR": "cannot be read or written (full disk, quota or broken device); check the "
    "disk and run again",
    "SQLITE_TOOBIG": "cannot store a single value of this size; store it in a file instead",
}

_DENIED = ("SQLITE_READONLY", "SQLITE_PERM", "SQLITE_CANTOPEN")
_UNTIL_SPACE = ("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE")
"""A full disk or quota: nothing is wrong with what was to be written, which may be sent again."""


class SQLiteDatabase(Database):
    """A database file in WAL mode; a lock serialises writers of this process, others wait."""

    dialect = "sqlite"

    def __init__(self, path: str | os.PathLike[str], *, outage_s: float = 60.0) -> None:
        self.path = Path(path).expanduser().absolute()
        check_file(self.path)
        engine = create_engine(
            URL.create("sqlite", database=str(self.path)),
            poolclass=QueuePool,
            pool_size=8,
            max_overflow=-1,
            connect_args={"timeout": BUSY_S, "check_same_thread": False, "isolation_level": None},
        )
        event.listen(engine, "connect", _on_connect)
        super().__init__(engine, f"sqlite:///{self.path}", outage_s)
        self._turn = threading.Lock()

    def check_existing(self) -> None:
        """Inspect the file read-only, because our own connections switch it to WAL mode."""
        if not self.path.exists():
            raise UnknownStudy(
                f'no database at "{self.path}", expected one created by tk.study or `tunekit '
                "run`; check the path."
            )
        try:
            link = sqlite3.connect(f"{self.path.as_uri()}?mode=ro", uri=True, timeout=BUSY_S)
            with closing(link):
                query = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
                tables = [name for (name,) in link.execute(query)]
        except sqlite3.Error:
            return  # missing or unreadable: opening it will raise the error
        if revision.name not in tables:
            raise foreign(self.url, [t for t in tables if not t.startswith("sqlite_")])

    def begin_write(self, connection: Connection) -> None:
        """Take the write lock at once, because a reader cannot wait to become a writer."""
        connection.begin()
        cursor = connection.connection.cursor()
        give_up_at = monotonic() + min(BUSY_S, self.outage_s)
        while monotonic() < give_up_at:
            try:
                cursor.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                    break
            sleep(random.uniform(*PAUSES_S))  # noqa: S311 - no secret
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # this one raises what it raises

    def lock_schema(self, connection: Connection) -> None:
        """Do nothing: the writing transaction holds the lock."""

    def write_turn(self) -> AbstractContextManager[object]:
        """Return this process's lock, which is fairer and faster than SQLite's polling."""
        return self._turn

    def is_transient(self, error: BaseException) -> bool:
        """Return whether another connection had the file locked."""
        return _code(error).startswith(("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_PROTOCOL"))

    def explained(self, error: BaseException) -> StorageError:
        """Return an error that tells a person how to resolve a failure of SQLite."""
        code = _code(error)
        for prefix, advice in _ADVICE.items():
            if code.startswith(prefix):
                kind = StorageDenied if prefix in _DENIED else StorageError
                if code.startswith(_UNTIL_SPACE):
                    kind = StorageUnreachable
                return kind(f'the database file "{self.path}" {advice} ({code}).')
        return StorageError(
            f'the database file "{self.path}" returned an error ({code}: {error}).'
        )

    def _after_fork(self) -> None:
        super()._after_fork()
        self._turn = threading.Lock()


def check_file(path: Path) -> None:
    """Check that a database can exist at a path, before a connection creates the file.

    Raises:
        StorageError: the folder is missing, or the path is a folder or on a network file system.
    """
    if not path.parent.is_dir():
        raise StorageError(
            f'the folder "{path.parent}" of the database "{path.name}" does not exist; '
            "create it first."
        )
    if path.is_dir():
        raise StorageError(f'"{path}" is a folder, expected the path of a database file.')
    kind = file_system(path, _mounts())
    if kind in NETWORK_FILE_SYSTEMS:
        raise StorageError(
            f'the database "{path}" is on a network file system ({kind}), where unreliable file '
            "locks make SQLite lose data; use a local disk, or PostgreSQL for several machines."
        )


def file_system(path: Path, mounts: Iterable[str]) -> str:
    """Return the file system type of a path, given the lines of `/proc/mounts`."""
    real = os.path.realpath(path)
    best, kind = "", ""
    for line in mounts:
        fields = line.split()
        if len(fields) < 3:
            continue
        point = fields[1].encode().decode("unicode_escape")  # a space is written \040
        inside = point == "/" or real == point or real.startswith(f"{point}/")
        if inside and len(point) >= len(best):
            best, kind = point, fields[2]
    return kind


def _mounts() -> list[str]:
    try:
        return Path("/proc/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux: the file system is unknown
        return []


def _on_connect(connection: Any, record: object) -> None:
    # NORMAL in WAL mode: a power cut may lose the last moments, but never corrupts the file.
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "busy_timeout=0"):
        connection.execute(f"PRAGMA {pragma}")


def _code(error: BaseException) -> str:
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorname", "") or type(cause).__name__
    return type(cause).__name__
