"""Reads and writes the tables of accounts, and counts the changes to them."""

from __future__ import annotations

from typing import TypeVar

from tunekit.storages.sql.database import Database, Work

T = TypeVar("T")


class AccessDatabase:
    """The database with the tables of accounts.

    Attributes:
        changes: number of writes of this process; what was read before the last is outdated.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.changes = 0

    def read(self, work: Work[T]) -> T:
        """Return `work(connection)`."""
        return self._database.read(work)

    def write(self, work: Work[T]) -> T:
        """Return `work(connection)`, committed once."""
        try:
            return self._database.write_once(work)
        finally:
            self.changes += 1

    def note(self, work: Work[T]) -> T:
        """Return `work(connection)`, committed, for a write that changes nobody's rights."""
        return self._database.write(work)
