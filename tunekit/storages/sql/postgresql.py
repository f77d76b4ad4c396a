"""PostgreSQL through psycopg2: many workers on many machines, with server restarts."""

from __future__ import annotations

import os
from typing import Any, TypeVar
from urllib.parse import quote

from sqlalchemy import URL, Connection, create_engine, event, func, make_url, select
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from tunekit.errors import InvalidArgument, MissingExtra, StorageError, StorageUnreachable
from tunekit.shown import is_secret, shown_url, split_url
from tunekit.storages.sql.database import Database, Work
from tunekit.storages.sql.prepared import KEY, NOT_OURS, PreparedStatements

T = TypeVar("T")

SCHEMA_LOCK = 0x74756E656B6974  # "tunekit" in ASCII, a number that no other program uses

# 40001 and 40P01: serialization and deadlock; 53300: too many connections; 55P03: lock timeout;
# 57P01 to 57P03: shut down, crashed, starting up; 25P03: our transaction was idle for too long.
_TRANSIENT = frozenset("40001 40P01 53300 55P03 57P01 57P02 57P03 25P03".split())
# Connection failures have no code and are recognised by their words.
_PERMANENT = (
    "authentication failed",
    "no password supplied",
    "does not exist",
    "could not translate host name",
    "no pg_hba.conf entry",
    "invalid connection option",
    "invalid port",
    "does not support SSL",
)


class PostgreSQLDatabase(Database):
    """A database on a PostgreSQL server; writers of a study queue for the study's row."""

    dialect = "postgresql"
    opening_s = 5.0  # a wrong host or port should not cost a minute

    def __init__(self, url: str, *, outage_s: float = 60.0) -> None:
        try:
            import psycopg2
        except ImportError:
            raise MissingExtra("postgres", "A PostgreSQL storage") from None
        try:
            parsed = parsed_url(url)
            # Apart from the URL, because the texts of an engine show all of its query.
            secrets = {key: value for key, value in parsed.query.items() if is_secret(key)}
            engine = create_engine(
                parsed.difference_update_query(secrets),
                pool_size=5,
                max_overflow=20,
                connect_args={**connection_defaults(parsed), **secrets},
            )
        except (ValueError, SQLAlchemyError):
            raise InvalidArgument(
                f"the PostgreSQL URL {shown_url(url)} cannot be read, expected "
                '"postgresql://user:password@host:port/database"; escape special characters of '
                "the password as %XX."
            ) from None
        event.listen(engine, "connect", _on_connect)
        super().__init__(engine, shown_url(url), outage_s)
        self._driver_error: type[Exception] = psycopg2.Error
        # Single statements save the round trips of BEGIN and COMMIT.
        self._reader = engine.execution_options(isolation_level="AUTOCOMMIT")

    def begin_write(self, connection: Connection) -> None:
        """Begin a transaction, with the first statement that follows."""
        connection.begin()

    def lock_schema(self, connection: Connection) -> None:
        """Acquire an advisory lock that the end of the transaction releases."""
        connection.execute(select(func.pg_advisory_xact_lock(SCHEMA_LOCK)))

    def read(self, work: Work[T]) -> T:
        """Return `work(connection)`; each statement sees one consistent state of the database."""

        def attempt() -> T:
            try:
                with self._reader.connect() as connection:
                    return work(connection)
            except self._driver_error as error:
                # SQLAlchemy resets the isolation level of a connection outside of its own
                # error handling; a connection lost just then also costs a place in the pool.
                self.engine.dispose()
                raise OperationalError("reset", None, error) from error

        return self._persist(attempt)

    def write_once(self, work: Work[T]) -> T:
        """Like `write`, but looks up the result of a commit whose answer was lost."""
        before: list[tuple[int, T]] = []

        def attempt() -> T:
            with self.engine.connect() as connection:
                if before:
                    transaction, result = before.pop()
                    if _is_committed(connection, transaction):
                        return result
                number = connection.execute(select(func.txid_current())).scalar_one()
                result = work(connection)
                before.append((number, result))
                connection.commit()
                return result

        return self._persist(attempt)

    def is_transient(self, error: BaseException) -> bool:
        """Return whether the server is gone, busy, or asks for a retry."""
        if isinstance(error, PoolTimeout):
            return True
        if not isinstance(error, DBAPIError):
            return False
        code = getattr(error.orig, "pgcode", None)
        if code is not None:
            return code in _TRANSIENT | NOT_OURS or code.startswith("08")
        if error.connection_invalidated:
            return True
        return isinstance(error, OperationalError) and not any(
            words in str(error.orig) for words in _PERMANENT
        )

    def explained(self, error: BaseException) -> StorageError:
        """Return an error that tells a person how to resolve a failure of PostgreSQL."""
        cause = error.orig if isinstance(error, DBAPIError) else error
        line = str(cause).strip().partition("\n")[0]
        code = getattr(cause, "pgcode", None)
        if code in ("53100", "53200"):  # what was to be written may be sent again
            return StorageUnreachable(
                f"{self.url}: the server is out of disk space or memory ({line}); free some and "
                "run again. No stored data are lost."
            )
        if code is None:
            return StorageUnreachable(
                f"{self.url} cannot be opened ({line}); check host, port, database, user and "
                "password."
            )
        return StorageError(f"{self.url} returned an error ({code}: {line}).")


def parsed_url(url: str) -> URL:
    """Return the parts of a URL, whose password may contain `@`, `/`, `?` and `:` unescaped.

    Raises:
        ValueError, SQLAlchemyError: `url` cannot be parsed.
    """
    scheme, _, rest = url.partition("://")
    login, place, query = split_url(rest)
    user, colon, password = login.partition(":")
    # SQLAlchemy would end the password at its first "@" and treat the rest as the host.
    login = f"{user}{colon}{quote(password, safe='%')}@" if login else ""
    return make_url(f"{scheme}://{login}{place}{query}").set(drivername="postgresql+psycopg2")


def connection_defaults(url: URL) -> dict[str, object]:
    """Return the connection settings that neither the URL nor the environment makes."""
    # A frozen worker must not block the study's row for all others; user options take precedence.
    options = "-c idle_in_transaction_session_timeout=30000"
    given = url.query.get("options", os.environ.get("PGOPTIONS", ""))
    theirs = given if isinstance(given, str) else " ".join(given)
    defaults: dict[str, object] = {"options": f"{options} {theirs}".rstrip()}
    if "connect_timeout" not in url.query and "PGCONNECT_TIMEOUT" not in os.environ:
        defaults["connect_timeout"] = 10
    if "application_name" not in url.query and "PGAPPNAME" not in os.environ:
        defaults["application_name"] = "tunekit"
    return defaults


def _on_connect(connection: Any, record: Any) -> None:
    record.info[KEY] = PreparedStatements()


def _is_committed(connection: Connection, transaction: int) -> bool:
    status = connection.execute(select(func.txid_status(transaction))).scalar()
    if status == "in progress":  # the server has not yet noticed that its client is gone
        raise OperationalError("txid_status", None, Exception("a commit is still in progress"))
    return status == "committed"
