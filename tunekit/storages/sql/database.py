"""Runs transactions with retries through busy writers, restarts and lost connections."""

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

from tunekit.errors import InvalidArgument, StorageError, StorageUnreachable

T = TypeVar("T")
Work = Callable[[Connection], T]

_inherited: list[Pool] = []
"""Connection pools inherited from the parent process by fork."""


class Database(ABC):
    """One database and its connections; subclasses implement the dialects.

    Args:
        engine: opens connections; forked children discard theirs.
        url: URL that reopens the database, without the password.
        outage_s: seconds to retry a transaction before `StorageUnreachable`.
    """

    dialect: ClassVar[str]
    opening_s: ClassVar[float] = math.inf
    """Seconds to retry before the first successful connection, if shorter than `outage_s`."""

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
        """Return whether the same transaction may succeed after a short wait."""

    @abstractmethod
    def explained(self, error: BaseException) -> StorageError:
        """Return an error that tells a person how to resolve a permanent failure."""

    @abstractmethod
    def lock_schema(self, connection: Connection) -> None:
        """Prevent other processes from changing the schema until the transaction ends."""

    def check_existing(self) -> None:  # noqa: B027 - most have nothing to do here
        """Check that the database belongs to tunekit, if opening it would already change it.

        Raises:
            StorageError, UnknownStudy: it does not, or it does not exist.
        """

    def write_turn(self) -> AbstractContextManager[object]:
        """Return a context in which this thread may open a writing transaction."""
        return nullcontext()

    def read(self, work: Work[T]) -> T:
        """Return `work(connection)`; each statement sees one consistent state of the database."""

        def attempt() -> T:
            with self.engine.connect() as connection:
                return work(connection)

        return self._persist(attempt)

    def write(self, work: Work[T]) -> T:
        """Return `work(connection)`, committed once even if it runs several times.

        If the answer to a commit is lost, `work` runs again. It must detect that its changes have
        been applied (operations with a lease and key do), or use `write_once` instead.
        """
        return self._persist(lambda: self._transact(work))

    def write_once(self, work: Work[T]) -> T:
        """Like `write`, for work that would apply its changes twice when repeated."""
        return self.write(work)

    def close(self) -> None:
        """Close idle connections."""
        self.engine.dispose()

    def _transact(self, work: Work[T]) -> T:
        with self.write_turn(), self.engine.connect() as connection:
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
        except OverflowError as error:  # SQLite's driver; PostgreSQL's compares any number
            raise InvalidArgument(
                f"a number beyond 64 bits cannot be looked up or stored in {self.url}; give one "
                "from -2**63 to 2**63 - 1."
            ) from error
        except (DBAPIError, PoolTimeout, OSError) as error:
            # The caller knows what a duplicate row means.
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
            "check that it is running and reachable from this machine, then run the same "
            "command again. No stored data are lost."
        ) from error

    def _after_fork(self) -> None:
        # The parent keeps using the inherited sockets and files. This process never closes them,
        # because closing an SQLite connection may write to a file that others have open.
        _inherited.append(self.engine.pool)
        self.engine.dispose(close=False)
        self._pid = os.getpid()


def _first_line(error: BaseException | None) -> str:
    cause = getattr(error, "orig", None) or error
    return str(cause).strip().partition("\n")[0]
