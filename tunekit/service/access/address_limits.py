"""Bounds what all clients of a process together, and one address alone, may send."""

from __future__ import annotations

from dataclasses import dataclass, field

from starlette.types import Message, Receive, Scope, Send

from tunekit.errors import QuotaReached, ServiceBusy
from tunekit.service.access.rates import RateLimits
from tunekit.service.middleware import Middleware
from tunekit.service.problems import problem


@dataclass(eq=False)
class AddressLimits(Middleware):
    """Wraps an application; an address that sends too many requests gets no further.

    Attributes:
        rates: counts the requests.
    """

    rates: RateLimits

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request within the limits."""
        try:
            self.rates.count_address(address_of(scope))
        except QuotaReached as error:
            await problem(error)(scope, receive, send)
            return
        await self.app(scope, receive, send)


@dataclass(eq=False)
class BodyBudget(Middleware):
    """Wraps an application; the bodies that it holds at one time fit into a budget.

    Attributes:
        most_bytes: of all bodies together.
    """

    most_bytes: int
    _held: int = field(default=0, init=False)

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request within the limits."""
        mine = 0

        async def counted() -> Message:
            nonlocal mine
            message = await receive()
            size = len(message.get("body", b""))
            mine += size
            self._held += size
            if self._held > self.most_bytes:
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
