"""Makes text safe to show: URLs without secrets, no control characters.

Everything that prints or stores a URL of a storage passes it through `shown_url`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote

HIDDEN = "***"
PATTERN = "user:password"
"""Placeholders in texts that explain the form of a URL, which may also say `host:port`."""

_HARMLESS = frozenset(
    "host hostaddr port dbname user sslmode sslrootcert channel_binding target_session_attrs "
    "connect_timeout application_name fallback_application_name options keepalives "
    "keepalives_idle keepalives_interval keepalives_count tcp_user_timeout gssencmode "
    "client_encoding project mode cache uri nolock immutable "
    "unix_socket read_default_file "  # of MariaDB
    "cache_size mmap_size page_size journal_mode wal_autocheckpoint temp_store threads "
    "automatic_index cache_spill synchronous".split()  # PRAGMAs of SQLite
)
"""Query keys with public values; the values of all other keys are hidden."""

_URL = re.compile(r"\b[A-Za-z][\w+.-]*://[^\s\"'<>]*")
_PORT_AND_PATH = re.compile(r"\d*(/.*)?", re.DOTALL)
_QUERY = re.compile(r"\?(?=[A-Za-z_][\w.]*=)")
_PORTS = re.compile(r"(?:[^:/\[]*|\[[^\]]*\]):(?P<port>[^/,\[]*)")
_SETTING = re.compile(
    r"([\w.-]*(?:pass|pwd|secret|token|credential)[\w.-]*\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s;&,]*)",
    re.IGNORECASE,
)
_KEEPS = frozenset("\n\t")


def shown_url(url: str) -> str:
    """Return a URL without possible secrets: the password, and query values that are not public.

    When in doubt it hides, since a password may contain unescaped `@`, `/`, `?` and `:`.
    """
    scheme, found, rest = url.partition("://")
    if not found:  # a path, settings as `host=h password=p`, or a URL whose scheme is misspelt
        name, _, place = url.rpartition("@")
        shown = f"{HIDDEN}@{place.partition('?')[0]}" if name and ":" in name else url
        return _SETTING.sub(rf"\1{HIDDEN}", shown)
    login, place, query = split_url(rest)
    port = _PORTS.match(place)
    # A password whose host is missing; "port" stands in texts that explain the form.
    if port and port["port"] != "port" and not port["port"].isdecimal():
        place = f"{place[: port.start('port')]}{HIDDEN}{place[port.end('port') :]}"
    place = _SETTING.sub(rf"\1{HIDDEN}", place)
    if ":" in login and login != PATTERN:
        login = f"{login.partition(':')[0]}:{HIDDEN}"
    if query:
        query = "?" + "&".join(map(_shown_setting, query[1:].split("&")))
    return f"{scheme}://{login}{'@' if login else ''}{place}{query}"


def split_url(rest: str) -> tuple[str, str, str]:
    """Split the part of a URL after `scheme://` into login, place and query (with its `?`).

    The login ends at the last `@` that cannot belong to a query, since a password may contain
    one.
    """
    query = _QUERY.search(rest)
    head, tail = (rest[: query.start()], rest[query.start() :]) if query else (rest, "")
    delimiter = re.search("[:@/?]", head)
    if delimiter is None or delimiter[0] in "/?":
        login, place = "", head
    elif delimiter[0] == "@":
        login, _, place = head.partition("@")
    elif "@" in head:
        login, _, place = head.rpartition("@")
    elif "@" in tail and not _PORT_AND_PATH.fullmatch(head[delimiter.end() :]):
        login, _, place = rest.rpartition("@")  # the apparent query is part of the password
        tail = ""
    else:
        login, place = "", head
    if "?" in place:  # a query without any value
        place, mark, more = place.partition("?")
        tail = mark + more + tail
    return login, place, tail


def is_secret(key: str) -> bool:
    """Return whether to hide the value of a key in a URL's query."""
    return key not in _HARMLESS


def _shown_setting(setting: str) -> str:
    key, found, _ = setting.partition("=")
    if found and key in _HARMLESS:
        plain = unquote(setting)
        return _SETTING.sub(rf"\1{HIDDEN}", plain) if _SETTING.search(plain) else setting
    return f"{key}={HIDDEN}" if found else HIDDEN


def counted(n: int, noun: str) -> str:
    """Return a number with its noun: "1 trial", "2 trials"."""
    return f"{n} {noun}" if n == 1 else f"{n} {'studies' if noun == 'study' else f'{noun}s'}"


def without_secrets(text: str) -> str:
    """Return the text with secrets removed from its URLs."""
    return _URL.sub(lambda m: shown_url(m[0]), text) if "://" in text else text


def printable(text: str) -> str:
    """Return a text that is safe to print on a terminal.

    Line ends and tabs stay. Other control characters, marks that change the writing direction,
    and lone surrogates, which UTF-8 cannot encode, become escapes. Secrets in URLs are removed.
    """
    shown = without_secrets(text)
    if shown.isascii() and shown.isprintable():
        return shown
    return "".join(
        c if c.isprintable() or c in _KEEPS or (c.isspace() and ord(c) >= 0xA0) else _escape(c)
        for c in shown
    )


def _escape(c: str) -> str:
    return c.encode("unicode_escape").decode("ascii")


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """Return ` (did you mean "x"?)` for the closest known word, or an empty string."""
    from difflib import get_close_matches  # needed by some errors only

    close = get_close_matches(given, list(known), n=1, cutoff=0.6)
    return f' (did you mean "{close[0]}"?)' if close else ""
