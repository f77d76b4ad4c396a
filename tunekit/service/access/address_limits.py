"""Bounds what all clients of a process together, and one address alone, may send."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tunekit.errors import QuotaReached, ServiceBusy
from tunekit.service.access.rates import RateLimits
from tunekit.service.middleware import Middleware
from tunekit.service.problems import problem


class AddressLimits(Middleware):
    """Wraps an application; an address that sends too many requests gets no further.

    Args:
        app: the application.
        rates: counts the requests.
    """

    def __init__(self, app: ASGIApp, rates: RateLimits) -> None:
        super().__init__(app)
        self._rates = rates

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request within the limits."""
        try:
            self._rates.count_address(address_of(scope))
        except QuotaReached as error:
            await problem(error)(scope, receive, send)
            return
        await self.app(scope, receive, send)


class BodyBudget(Middleware):
    """Wraps an application; the bodies that it holds at one time fit into a budget.

    Args:
        app: the application.
        most_bytes: of all bodies together.
    """

    def __init__(self, app: ASGIApp, most_bytes: int) -> None:
        super().__init__(app)
        self._most = most_bytes
        self._held = 0

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request within the limits."""
        mine = 0

        async def counted() -> Message:
            nonlocal mine
            message = await receive()
            size = len(message.get("body", b""))
            mine += size
            self._held += size
            if self._held > self._most:
                raise ServiceBusy("the service reads too many long requests; try again soon.")
            return message

        def let_go(size: int) -> None:
            nonlocal mine
            mine -= size
            self._held -= size

        scope["tunekit.let_go"] = let_go  # for a route that does not hold its body
        try:
            await self.app(scope, counted, send)
        finally:
            self._held -= mine


def address_of(scope: Scope) -> str:
    """Return the address that a request comes from, as far as a trusted proxy says so."""
    client = scope.get("client")
    return str(client[0]) if client else ""
