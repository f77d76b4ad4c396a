"""Lets requests of the service's own pages count as those of the browser that shows the pages."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from starlette.types import Receive, Scope, Send

from tunekit.service.middleware import Middleware
from tunekit.storages.http.browser import BROWSER_HEADER

_NAME = BROWSER_HEADER.lower().encode()


@dataclass(eq=False)
class BrowserAddress(Middleware):
    """Wraps an application; limits and the audit log then see the address of the browser.

    The process of the pages sends it with a key that only this service has given to it, so that
    nobody else can name an address, wherever the process connects from.

    Attributes:
        key: of the process.
    """

    key: str = field(repr=False)

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request as one of the browser."""
        given = next((v for name, v in scope["headers"] if name == _NAME), b"")
        key, _, address = given.partition(b" ")
        if address and secrets.compare_digest(key, self.key.encode()):
            scope = {**scope, "client": (address.decode("latin-1"), 0)}
        await self.app(scope, receive, send)
