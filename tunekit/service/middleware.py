"""The base of what the service wraps around its routes, in plain ASGI so that streams flow."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send


@dataclass(eq=False)
class Middleware:
    """Wraps an application; a subclass says in `serve` what becomes of its HTTP requests.

    Attributes:
        app: the application.
    """

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve an HTTP request; hand on anything else."""
        await (self.serve if scope["type"] == "http" else self.app)(scope, receive, send)

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve an HTTP request."""
        raise NotImplementedError


class AnswerMiddleware(Middleware):
    """Wraps an application; a subclass says in `begin` what is done before an answer is sent."""

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve an HTTP request."""

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                await self.begin(scope, message)
            await send(message)

        await self.app(scope, receive, answer)

    async def begin(self, scope: Scope, start: Message) -> None:
        """Look at the status and headers of an answer, or change them."""
        raise NotImplementedError
