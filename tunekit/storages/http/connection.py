"""Sends requests to a tunekit service and repeats those whose answer was lost.

It stands on `http.client`: a worker process that only reports results loads nothing else.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import ssl
import threading
import time
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

from tunekit.errors import (
    InvalidArgument,
    QuotaReached,
    ServiceBusy,
    StorageError,
    StorageUnreachable,
    TunekitError,
)
from tunekit.shown import shown_url

API = "/api/v1"
"""Path of the REST interface, below the root path of the service."""

OUTAGE_S = 300.0
"""Seconds for which a request is repeated while the service does not answer."""

OPENING_S = 5.0
"""The same before the first answer: a wrong host or port should not cost minutes."""

IDLE_S = 30.0
"""Idle seconds after which a kept connection is not used again: the other end may close it."""

_LOST = (OSError, http.client.HTTPException)
_MAY_PASS = frozenset({429, 502, 503, 504})


class ServiceResponse(NamedTuple):
    """An answer of the service: its JSON document, or the bytes of a file, and headers."""

    doc: Any
    headers: Mapping[str, str]


class Connection:
    """Keeps one HTTP connection a thread to a service; safe for threads and after a fork.

    Args:
        url: `http://host:port` or `https://host`, with the root path of the service if it has
            one.
        token: sent as a bearer token; `None` for a service without accounts.
        timeout_s: seconds to wait for an answer.
        outage_s: seconds for which to repeat a request that gets none.
        certificate: file with the one certificate that is trusted, whatever name it is for: that
            of a service on this machine. By default those that the system trusts.

    Raises:
        InvalidArgument: the URL names no host.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        timeout_s: float = 60.0,
        outage_s: float = OUTAGE_S,
        certificate: str | None = None,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InvalidArgument(
                f"service URL {shown_url(url)!r}: expected http://host:port or https://host."
            )
        self.url = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
        self.timeout_s = timeout_s
        self.outage_s = outage_s
        self._certificate = certificate
        self._parts = parts
        self._headers = {"Accept": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._is_reached = False
        self._kept = threading.local()
        self._opened: set[http.client.HTTPConnection] = set()
        self._pid = os.getpid()

    def request(
        self,
        method: str,
        path: str,
        doc: Any = None,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        is_repeatable: bool = True,
        outage_s: float | None = None,
    ) -> ServiceResponse:
        """Return the answer to a request below `/api/v1`.

        Args:
            method: of HTTP.
            path: below `/api/v1`, already quoted.
            doc: JSON document to send.
            query: values of the query; those that are `None` are left out, lists are repeated.
            headers: further headers.
            is_repeatable: whether to repeat the request although it may have been applied.
            outage_s: seconds for which to repeat it; by default those of the connection.

        Raises:
            StorageUnreachable: the service did not answer for `outage_s`.
            TunekitError: what the service raised, as the same class.
        """
        given = {k: v for k, v in (query or {}).items() if v is not None}
        target = f"{self._parts.path.rstrip('/')}{API}{path}"
        target += f"?{urlencode(given, doseq=True)}" if given else ""
        body = None if doc is None else json.dumps(doc, separators=(",", ":")).encode()
        sent = {**self._headers, **(headers or {})}
        if body is not None:
            sent["Content-Type"] = "application/json"
        longest_s = self.outage_s if outage_s is None else outage_s
        until = time.monotonic() + (longest_s if self._is_reached else min(longest_s, OPENING_S))
        tries = 0
        while True:
            wait_s = _backoff_s(tries)
            try:
                return self._once(method, target, body, sent)
            except (ServiceBusy, QuotaReached) as error:  # nothing was done
                if error.retry_after is None or time.monotonic() + wait_s > until:
                    raise
                wait_s = max(wait_s, min(error.retry_after, 30.0))
            except _NoAnswer as error:
                if error.may_be_applied and not is_repeatable:
                    raise self._unreachable(error, "it may have been applied") from error
                if time.monotonic() + wait_s > until:
                    raise self._unreachable(error, "run the same command again") from error
            time.sleep(wait_s)
            tries += 1

    def close(self) -> None:
        """Close the connections of all threads."""
        for connection in list(self._opened):
            connection.close()
        self._opened.clear()

    def _once(
        self, method: str, target: str, body: bytes | None, headers: Mapping[str, str]
    ) -> ServiceResponse:
        connection = self._connection()
        try:
            if connection.sock is None:
                connection.connect()
        except _LOST as error:
            connection.close()
            raise _NoAnswer(error, may_be_applied=False) from error
        try:
            connection.request(method, target, body=body, headers=dict(headers))
            response = connection.getresponse()
            content = response.read()
        except _LOST as error:
            connection.close()
            raise _NoAnswer(error, may_be_applied=True) from error
        self._kept.used = time.monotonic()
        self._is_reached = True
        try:
            return _checked(response, content)
        except _Unexplained as error:
            raise self._foreign(error) from None

    def _connection(self) -> http.client.HTTPConnection:
        """Return this thread's connection; a forked child leaves those of its parent alone."""
        if self._pid != os.getpid():
            self._kept, self._opened, self._pid = threading.local(), set(), os.getpid()
        kept: http.client.HTTPConnection | None = getattr(self._kept, "connection", None)
        if kept is None:
            kept = self._kept.connection = self._new()
            self._opened.add(kept)
        elif time.monotonic() - getattr(self._kept, "used", 0.0) > IDLE_S:
            kept.close()
        return kept

    def _new(self) -> http.client.HTTPConnection:
        host, port = str(self._parts.hostname), self._parts.port
        if self._parts.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=self.timeout_s)
        context = ssl.create_default_context(cafile=self._certificate)
        if self._certificate is not None:
            context.check_hostname = False
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        return http.client.HTTPSConnection(host, port, timeout=self.timeout_s, context=context)

    def _unreachable(self, error: _NoAnswer, advice: str) -> StorageUnreachable:
        return StorageUnreachable(
            f"{shown_url(self.url)} does not answer ({error}); check that `tunekit serve` runs "
            f"there and is reachable from this machine; {advice}."
        )

    def _foreign(self, error: _Unexplained) -> StorageError:
        if error.detail and error.status != http.HTTPStatus.NOT_FOUND:
            return StorageError(f"{shown_url(self.url)} refuses the request: {error.detail}")
        return StorageError(
            f"{shown_url(self.url)} answers (status {error.status}), but not as a tunekit service "
            "of this version; check the URL, expected http://host:port/project."
        )


class _Unexplained(Exception):
    """An answer without an error code of tunekit's: of another program, or to an unknown route."""

    def __init__(self, status: int, detail: str = "") -> None:
        super().__init__(status)
        self.status = status
        self.detail = detail


class _NoAnswer(Exception):
    """A request got no answer that says whether it was applied."""

    def __init__(self, cause: object, *, may_be_applied: bool) -> None:
        super().__init__(str(cause) or type(cause).__name__)
        self.may_be_applied = may_be_applied


def quoted(text: str) -> str:
    """Return a text as one segment of a path."""
    return quote(text, safe="")


def _backoff_s(tries: int) -> float:
    """Return a random wait of up to .05 s, doubled with each try up to 2 s."""
    return random.uniform(0.0, min(2.0, 0.05 * 2.0 ** min(tries, 10)))  # noqa: S311 - spreads load


def _checked(response: http.client.HTTPResponse, content: bytes) -> ServiceResponse:
    """Return the answer of a response, or raise the error that it carries."""
    kind = response.headers.get_content_type()
    if response.status < 400 and kind == "application/octet-stream":
        return ServiceResponse(content, dict(response.headers))
    try:
        doc = json.loads(content) if content else None
    except ValueError:
        doc = None
        if response.status < 400:
            if kind == "text/html":  # the page of another program
                raise _Unexplained(response.status) from None
            raise _NoAnswer("the answer is cut off", may_be_applied=True) from None
    if response.status < 400:
        return ServiceResponse(doc, dict(response.headers))
    if isinstance(doc, dict) and isinstance(doc.get("code"), str):
        raise _error_of(doc, response)
    if response.status in _MAY_PASS:  # of a proxy in front of the service
        raise _NoAnswer(f"status {response.status}", may_be_applied=True)
    detail = doc.get("detail") if isinstance(doc, dict) else None
    raise _Unexplained(response.status, detail if isinstance(detail, str) else "")


def _error_of(doc: Mapping[str, Any], response: http.client.HTTPResponse) -> TunekitError:
    cls = class_of(doc["code"])
    if issubclass(cls, StorageUnreachable):  # the service waits for its database
        raise _NoAnswer(doc.get("detail", ""), may_be_applied=True)
    error = error_of(doc["code"], str(doc.get("detail", "")))
    after = response.headers.get("Retry-After", "")
    if isinstance(error, ServiceBusy):
        error.retry_after = float(after) if after.isdecimal() else 0.0
    elif isinstance(error, QuotaReached):
        error.retry_after = float(after) if after.isdecimal() else None
    return error


def error_of(code: str, message: str) -> TunekitError:
    """Return the error of a code and a sentence that another process has raised."""
    cls = class_of(code)
    error = cls.__new__(cls)
    TunekitError.__init__(error, message)
    if isinstance(error, ServiceBusy):
        error.retry_after = 1.0
    elif isinstance(error, QuotaReached):
        error.retry_after = None
    return error


def class_of(code: str) -> type[TunekitError]:
    """Return the class of a code, `TunekitError` for one that this version does not know."""
    todo = [TunekitError]
    while todo:
        found = todo.pop()
        if found.code == code:
            return found
        todo += found.__subclasses__()
    return TunekitError
