"""Adds headers to every answer that keep browsers from running, framing or storing it.

Reference:
    OWASP, HTTP Headers Cheat Sheet and REST Security Cheat Sheet.
"""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Scope

from tunekit.service.middleware import AnswerMiddleware

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Headers of every answer; a route may set its own value of one."""

STRICT_TRANSPORT = "max-age=31536000"
"""`Strict-Transport-Security` of answers over TLS: browsers use no plain HTTP for a year."""


class SecurityHeaders(AnswerMiddleware):
    """Wraps an application; it has to be the outermost, so that error answers get them too."""

    async def begin(self, scope: Scope, start: Message) -> None:
        """Add the headers to an answer."""
        headers = MutableHeaders(scope=start)
        for name, value in HEADERS.items():
            headers.setdefault(name, value)
        if scope.get("scheme") == "https":
            headers.setdefault("Strict-Transport-Security", STRICT_TRANSPORT)
