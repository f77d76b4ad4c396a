"""Opens a SQLite file with the PRAGMAs that its URL names."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode

from tunekit.errors import InvalidArgument
from tunekit_integrations.dbms.records import FailureKind, Settings, TargetFailure, Value

LOCK_TIMEOUT_S = 5.0
SCHEME = "sqlite:///"

_TEMP_STORES = ("default", "file", "memory")
_SYNCHRONOUS = ("off", "normal", "full", "extra")


@dataclass(frozen=True, slots=True)
class Pragma:
    """How a knob is written to SQLite, and read from it.

    Attributes:
        to_sqlite: value in the unit of the catalogue -> text of the PRAGMA.
        from_sqlite: what the PRAGMA gives, and the size of a page -> value.
    """

    to_sqlite: Callable[[Value], str]
    from_sqlite: Callable[[int | str, int], Value]


def _of(names: tuple[str, ...]) -> Pragma:
    return Pragma(lambda v: str(names.index(str(v))), lambda raw, _: names[int(raw)])


_NUMBER = Pragma(lambda v: str(int(v)), lambda raw, _: int(raw))
_FLAG = Pragma(lambda v: str(int(_is_true(v))), lambda raw, _: bool(raw))

PRAGMAS = {
    "page_size": Pragma(str, lambda raw, _: str(raw)),
    "journal_mode": Pragma(str, lambda raw, _: str(raw)),
    # Negative numbers count in kB, positive ones in pages.
    "cache_size": Pragma(
        lambda v: str(-int(v)),
        lambda raw, page: -int(raw) if int(raw) < 0 else int(raw) * page // 1024,
    ),
    "mmap_size": Pragma(lambda v: str(int(v) * 2**20), lambda raw, _: int(raw) // 2**20),
    "wal_autocheckpoint": _NUMBER,
    "temp_store": _of(_TEMP_STORES),
    "threads": _NUMBER,
    "automatic_index": _FLAG,
    "cache_spill": _FLAG,
    "synchronous": _of(_SYNCHRONOUS),
}
"""Knob -> its PRAGMA. Those of the file come first: others depend on them."""


def _is_true(value: Value) -> bool:
    return value in (True, "1", "true", "True", "on")


def file_of(url: str) -> Path:
    """Return the file that a URL such as `sqlite:////data/app.db` names.

    Raises:
        InvalidArgument: it is not such a URL.
    """
    path = unquote(url.removeprefix(SCHEME).partition("?")[0])
    if not url.startswith(SCHEME) or not path:
        raise InvalidArgument(f'got "{url}", expected the URL of a file: sqlite:///path/to/file.')
    return Path(path).absolute()


def settings_of(url: str) -> dict[str, str]:
    """Return the knobs that a URL sets, as text.

    Raises:
        InvalidArgument: it sets what is not a knob.
    """
    found = dict(parse_qsl(url.partition("?")[2]))
    unknown = sorted(set(found) - set(PRAGMAS))
    if unknown:
        raise InvalidArgument(
            f'{SCHEME}...: unknown option "{unknown[0]}", expected one of {", ".join(PRAGMAS)}.'
        )
    return found


def url_of(file: Path, settings: Settings) -> str:
    """Return the URL of a file with these knobs."""
    query = urlencode({name: settings[name] for name in PRAGMAS if name in settings})
    return f"{SCHEME}{quote(str(file.absolute()))}{'?' if query else ''}{query}"


@contextmanager
def connected(url: str) -> Iterator[sqlite3.Connection]:
    """Open a file with the PRAGMAs of its URL, in autocommit mode, and close it at the end.

    `page_size` is left alone: it takes a VACUUM.

    Raises:
        TargetFailure: SQLite failed, here or within the block.
    """
    with failures_as_kinds():
        file = file_of(url)
        connection = sqlite3.connect(
            f"file:{quote(str(file))}?mode=rw",
            uri=True,
            timeout=LOCK_TIMEOUT_S,
            isolation_level=None,
        )
        try:
            given = settings_of(url)
            for name, pragma in PRAGMAS.items():
                if name in given and name != "page_size":
                    connection.execute(f"PRAGMA {name} = {pragma.to_sqlite(given[name])}")
            yield connection
        finally:
            connection.close()


def read_pragma(connection: sqlite3.Connection, name: str) -> Value:
    """Return a knob as a connection has it, in the unit of the catalogue."""
    (page,) = connection.execute("PRAGMA page_size").fetchone()
    row = connection.execute(f"PRAGMA {name}").fetchone()
    return PRAGMAS[name].from_sqlite(row[0] if row else 0, page)


@contextmanager
def failures_as_kinds() -> Iterator[None]:
    """Raise what SQLite raises as a `TargetFailure`."""
    try:
        yield
    except MemoryError as error:
        raise TargetFailure(
            FailureKind.OUT_OF_MEMORY, f"SQLite: {error or 'out of memory'}."
        ) from error
    except sqlite3.Error as error:
        raise TargetFailure(_kind(str(error)), f"SQLite: {error}.") from error


def _kind(message: str) -> FailureKind:
    signs = {
        "out of memory": FailureKind.OUT_OF_MEMORY,
        "locked": FailureKind.TIMEOUT,
        "interrupted": FailureKind.TIMEOUT,
        "malformed": FailureKind.WRONG_RESULT,
        "not a database": FailureKind.NO_START,
        "unable to open": FailureKind.NO_START,
        "disk": FailureKind.LOST_CONNECTION,  # full, or an I/O error
    }
    return next((kind for sign, kind in signs.items() if sign in message), FailureKind.INVALID)
