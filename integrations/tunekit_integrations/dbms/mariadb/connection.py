"""Connects to MariaDB and MySQL, and says what their errors mean for a trial."""

from __future__ import annotations

import configparser
import contextlib
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from tunekit.errors import InvalidArgument, MissingExtra
from tunekit_integrations.dbms.records import FailureKind, TargetFailure

CONNECT_TIMEOUT_S = 5
READ_TIMEOUT_S = 120
"""Longer than any statement of ours, of which a new size of the log takes the longest."""

PASSWORD_VARIABLE = "MYSQL_PWD"  # noqa: S105 - the name of a variable

_SCHEMES = ("mariadb", "mysql")
_OPTIONS = ("unix_socket", "read_default_file")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a database is.

    Attributes:
        user: who connects, without a password: that is in an option file or in `MYSQL_PWD`.
        host, port: of the server, unless there is a socket.
        socket: path, or "".
        database: name, or "".
        option_file: of the client, such as ~/.my.cnf, or "".
    """

    user: str
    host: str = "127.0.0.1"
    port: int = 3306
    socket: str = ""
    database: str = ""
    option_file: str = ""

    def url(self) -> str:
        """Return the URL of the database."""
        options = {"unix_socket": self.socket, "read_default_file": self.option_file}
        query = urlencode({name: value for name, value in options.items() if value})
        where = f"{quote(self.user)}@{self.host}:{self.port}/{quote(self.database)}"
        return f"mariadb://{where}{'?' if query else ''}{query}"


def address_of(url: str) -> Address:
    """Return what a URL such as `mariadb://me@127.0.0.1:3306/shop?unix_socket=/run/s.sock` says.

    Raises:
        InvalidArgument: it is not such a URL, or has a password in it.
    """
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    try:
        port = parts.port or 3306
    except ValueError:
        port = 0
    if parts.scheme not in _SCHEMES or not port or not set(options) <= set(_OPTIONS):
        raise InvalidArgument(
            f"got a URL with the scheme {parts.scheme or 'none'} and the options "
            f"{', '.join(sorted(options)) or 'none'}, expected mariadb://user@host:port/database, "
            f"with {' or '.join(_OPTIONS)} where needed."
        )
    if parts.password is not None:
        raise InvalidArgument(
            "the URL of the database has a password in it, which every user of this machine can "
            f"read; leave it out and put it in {PASSWORD_VARIABLE} or in an option file "
            "(?read_default_file=~/.my.cnf)."
        )
    return Address(
        unquote(parts.username or "root"),
        parts.hostname or "127.0.0.1",
        port,
        options.get("unix_socket", ""),
        unquote(parts.path.strip("/")),
        options.get("read_default_file", ""),
    )


def split_password(url: str) -> tuple[str, str]:
    """Return a URL without its password, and the password, "" where there is none."""
    parts = urlsplit(url)
    password = unquote(parts.password or "")
    user, _, where = parts.netloc.rpartition("@")
    netloc = f"{user.partition(':')[0]}@{where}" if user else where
    return parts._replace(netloc=netloc).geturl(), password


def password_for(address: Address) -> str:
    """Return the password of `MYSQL_PWD`, else that of the option file, else ""."""
    if os.environ.get(PASSWORD_VARIABLE):
        return os.environ[PASSWORD_VARIABLE]
    # As the clients read it: options without a value, and no interpolation.
    found = configparser.RawConfigParser(allow_no_value=True, strict=False)
    try:
        found.read(os.path.expanduser(address.option_file or ""), encoding="utf-8")
    except configparser.Error as error:
        raise InvalidArgument(
            f"{address.option_file} is not an option file: {error.message}; give one with "
            "[client]."
        ) from None
    return (found.get("client", "password", fallback="") or "").strip("'\"")


class AutocommitConnection:
    """Runs statements in autocommit mode.

    Args:
        raw: connection of PyMySQL.
    """

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def rows(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement and return its rows, and none for one that gives none.

        Raises:
            TargetFailure: the server refused it, or was lost.
        """
        with failures_as_kinds(), self._raw.cursor() as cursor:
            cursor.execute(statement, tuple(parameters) or None)
            return list(cursor.fetchall())

    def warnings(self) -> list[str]:
        """Return what the server had to say about the last statement."""
        return [str(row[2]) for row in self.rows("SHOW WARNINGS")]


@contextmanager
def connected(
    url: str, *, read_timeout_s: float = READ_TIMEOUT_S
) -> Iterator[AutocommitConnection]:
    """Connect to a database, and leave it at the end.

    Raises:
        TargetFailure: the server does not answer.
        MissingExtra: PyMySQL is not installed.
    """
    try:
        import pymysql
    except ImportError:
        raise MissingExtra("knobs", "a connection to MariaDB or MySQL") from None
    address = address_of(url)
    with failures_as_kinds(), contextlib.ExitStack() as undo:
        raw = pymysql.connect(
            user=address.user,
            password=password_for(address),
            read_default_file=os.path.expanduser(address.option_file) or None,  # certificates
            host=address.host,
            port=address.port,
            database=address.database or None,
            # To read certificates, which no socket needs, takes longer than all the rest.
            ssl_disabled=True if address.socket else None,
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=CONNECT_TIMEOUT_S,  # a frozen server lets clients in and says nothing
            write_timeout=read_timeout_s,
            autocommit=True,
            program_name="tunekit",
            defer_connect=True,
        )
        raw._secure = bool(address.socket)  # so that it may send a password as it is
        raw.connect(undo.enter_context(_local_socket(address.socket)) if address.socket else None)
        raw._read_timeout = read_timeout_s
        undo.pop_all()
    try:
        yield AutocommitConnection(raw)
    finally:
        # A server that is gone must not hide why it is.
        with contextlib.suppress(pymysql.Error):
            raw.close()


def _local_socket(path: str) -> socket.socket:
    """Return a socket of this machine; that of the driver stays open where nobody listens."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.settimeout(CONNECT_TIMEOUT_S)
        made.connect(path)
    except BaseException:
        made.close()
        raise
    return made


@contextmanager
def failures_as_kinds() -> Iterator[None]:
    """Raise what the driver raises as a `TargetFailure`."""
    import pymysql

    try:
        yield
    except pymysql.Error as error:
        raise failure_of(error) from None
    except (OSError, EOFError) as error:
        raise TargetFailure(
            FailureKind.LOST_CONNECTION, f"the server was lost: {error or type(error).__name__}."
        ) from None


_OUT_OF_MEMORY = (5, 1037, 1038, 1041)
_TIMEOUTS = (1205, 1317, 1969, 3024)
_FULL_DISK = (3, 1021, 1114)
_ACCESS = (1044, 1045, 1698)
_OF_THE_CLIENT = range(2000, 3000)


def failure_of(error: Exception) -> TargetFailure:
    """Return what an error of the driver means for a trial."""
    code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    text = str(error.args[1] if len(error.args) > 1 else error).strip().rstrip(".")
    if code in _OUT_OF_MEMORY:
        return TargetFailure(FailureKind.OUT_OF_MEMORY, f"the server ran out of memory: {text}.")
    if code in _TIMEOUTS:
        return TargetFailure(FailureKind.TIMEOUT, f"a statement took too long: {text}.")
    if code in _FULL_DISK:
        return TargetFailure(FailureKind.LOST_CONNECTION, f"the disk is full: {text}.")
    if code in _ACCESS:
        return TargetFailure(
            FailureKind.LOST_CONNECTION,
            f"the server lets nobody in: {text}; give a user who may, and the password in "
            f"{PASSWORD_VARIABLE} or an option file.",
        )
    if code == 1227:
        return TargetFailure(FailureKind.INVALID, f"the user may not do that: {text}.")
    if code in (0, 1053, 1927) or code in _OF_THE_CLIENT:
        return TargetFailure(FailureKind.LOST_CONNECTION, f"the server was lost: {text}.")
    return TargetFailure(FailureKind.INVALID, f"the server refused a statement ({code}): {text}.")
