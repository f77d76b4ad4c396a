"""Transactions that survive what a database does: busy writers, restarts, lost connections."""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import ClassVar, TypeVar

from sqlalchemy import Connection, Engine, Pool
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_delay
from tenacity.wait import wait_random_exponential

from tunekit.errors import StorageError, StorageUnreachable

T = TypeVar("T")
Work = Callable[[Connection], T]

_inherited: list[Pool] = []
"""The connections of the process that this one was forked from."""


class Database(ABC):
    """One database and its connections; the two dialects fill in what differs.

    Args:
        engine: opens connections; forked children throw theirs away.
        url: opens it again, without a password.
        outage_s: for how long a transaction is tried again before `StorageUnreachable`.
    """

    dialect: ClassVar[str]
    opening_s: ClassVar[float] = math.inf
    """For how long to try (if shorter than `outage_s`) as long as nothing was ever reached."""

    def __init__(self, engine: Engine, url: str, outage_s: float) -> None:
        self.engine = engine
        self.url = url
        self.outage_s = outage_s
        self._pid = os.getpid()
        self._reached = False

    @abstractmethod
    def begin_write(self, connection: Connection) -> None:
        """Open a transaction that may write."""

    @abstractmethod
    def is_transient(self, error: BaseException) -> bool:
        """Return whether the same transaction may succeed a little later."""

    @abstractmethod
    def explained(self, error: BaseException) -> StorageError:
        """Return what a person can do about an error that will not go away by itself."""

    @abstractmethod
    def lock_schema(self, connection: Connection) -> None:
        """Keep every other process from changing the schema until the transaction ends."""

    def check_existing(self) -> None:  # noqa: B027 - most have nothing to do here
        """Refuse a database that is none of tunekit, where opening it would already change it.

        Raises:
            StorageError, UnknownStudy: it is none, or there is none.
        """

    def turn(self) -> AbstractContextManager[object]:
        """Return a context in which this thread may open a writing transaction."""
        return nullcontext()

    def read(self, work: Work[T]) -> T:
        """Return `work(connection)`; each statement of it sees one state of the database."""

        def attempt() -> T:
            with self.engine.connect() as connection:
                return work(connection)

        return self._persist(attempt)

    def write(self, work: Work[T]) -> T:
        """Return `work(connection)`, committed; it may run several times, committed once.

        When the answer to a commit is lost, `work` runs again: it must notice that its changes
        are there (operations by lease and key do), or else go through `write_once`.
        """
        return self._persist(lambda: self._transact(work))

    def write_once(self, work: Work[T]) -> T:
        """Like `write`, for work that would do its changes twice when run again."""
        return self.write(work)

    def close(self) -> None:
        """Close the connections that nobody uses right now."""
        self.engine.dispose()

    def _transact(self, work: Work[T]) -> T:
        with self.turn(), self.engine.connect() as connection:
            self.begin_write(connection)
            result = work(connection)
            connection.commit()
        return result

    def _persist(self, attempt: Callable[[], T]) -> T:
        if self._pid != os.getpid():
            self._after_fork()
        try:
            result = attempt()  # the common case costs no retry machinery
            self._reached = True
            return result
        except (DBAPIError, PoolTimeout, OSError) as error:
            # A row that exists already is not the server's fault: the caller knows what it means.
            if isinstance(error, StorageError | IntegrityError):
                raise
            if not self.is_transient(error):
                raise self.explained(error) from error
        patience_s = self.outage_s if self._reached else min(self.outage_s, self.opening_s)
        retrying = Retrying(
            stop=stop_after_delay(patience_s),
            wait=wait_random_exponential(multiplier=0.05, max=2.0),
            retry=retry_if_exception(self.is_transient),
            retry_error_callback=self._give_up,
        )
        try:
            return retrying(attempt)
        except IntegrityError:
            raise
        except (DBAPIError, PoolTimeout) as error:
            raise self.explained(error) from error

    def _give_up(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome is not None else None
        raise StorageUnreachable(
            f"{self.url} does not answer ({_first_line(error)}); "
            "see that it runs and that this machine reaches it, then run the same command "
            "again: nothing that was stored is lost."
        ) from error

    def _after_fork(self) -> None:
        # The parent goes on using the sockets and files that this process has inherited. They are
        # kept for good: closing a connection of SQLite may write to a file that others have open.
        _inherited.append(self.engine.pool)
        self.engine.dispose(close=False)
        self._pid = os.getpid()


def _first_line(error: BaseException | None) -> str:
    cause = getattr(error, "orig", None) or error
    return str(cause).strip().partition("\n")[0]
