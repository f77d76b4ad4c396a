"""Makes text safe to show: URLs without secrets, no control characters.

Everything that prints or stores a URL of a storage passes it through `shown_url`.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

HIDDEN = "***"
PATTERN = "user:password"
"""What stands in texts that say how a URL is written."""

_HARMLESS = frozenset(
    "host hostaddr port dbname user sslmode sslrootcert channel_binding target_session_attrs "
    "connect_timeout application_name fallback_application_name options keepalives "
    "keepalives_idle keepalives_interval keepalives_count tcp_user_timeout gssencmode "
    "client_encoding project mode cache uri nolock immutable".split()
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
    """Return a URL without what may be secret: its password, and all of its query but options.

    It errs on the side of hiding: a password may hold `@`, `/`, `?` and `:` unescaped.
    """
    scheme, found, rest = url.partition("://")
    if not found:  # a path, settings as `host=h password=p`, or a URL whose scheme is misspelt
        name, _, place = url.rpartition("@")
        shown = f"{HIDDEN}@{place.partition('?')[0]}" if name and ":" in name else url
        return _SETTING.sub(rf"\1{HIDDEN}", shown)
    login, place, query = split_url(rest)
    port = _PORTS.match(place)
    if port and not port["port"].isdecimal():  # a password whose host is missing
        place = f"{place[: port.start('port')]}{HIDDEN}{place[port.end('port') :]}"
    place = _SETTING.sub(rf"\1{HIDDEN}", place)
    if ":" in login and login != PATTERN:
        login = f"{login.partition(':')[0]}:{HIDDEN}"
    if query:
        query = "?" + "&".join(map(_shown_setting, query[1:].split("&")))
    return f"{scheme}://{login}{'@' if login else ''}{place}{query}"


def split_url(rest: str) -> tuple[str, str, str]:
    """Return login, place and query (with its `?`) of what follows `scheme://` in a URL.

    The login ends at the last `@` that no query can hold, since a password may hold one itself.
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
        login, _, place = rest.rpartition("@")  # what looked like a query is in the password
        tail = ""
    else:
        login, place = "", head
    if "?" in place:  # a query without any value
        place, mark, more = place.partition("?")
        tail = mark + more + tail
    return login, place, tail


def is_secret(key: str) -> bool:
    """Return whether the value of a key in a URL's query has to stay hidden."""
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
    """Return a text whose URLs have lost their secrets, and is the same otherwise."""
    return _URL.sub(lambda m: shown_url(m[0]), text) if "://" in text else text


def printable(text: str) -> str:
    """Return a text that changes nothing but the words on a terminal.

    Line ends and tabs stay; other control characters, marks that turn the direction of writing
    and halves of surrogates, which no terminal and no UTF-8 file takes, are written as escapes.
    URLs in it lose their secrets.
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
