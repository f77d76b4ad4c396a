"""Turns the plain texts with which the framework refuses a request into problem documents."""

from __future__ import annotations

from starlette.types import Message, Receive, Scope, Send

from tunekit.service.middleware import Middleware
from tunekit.service.problems import document

_SENTENCES = {
    400: "the request names a host that is not this service's; use the URL that the service "
    "prints, or start it with --allowed-host NAME.",
    413: "the body of the request is longer than the service reads; send it in parts.",
}


class PlainErrors(Middleware):
    """Wraps an application; an error in plain text leaves it as a problem document."""

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request; an error in plain text becomes a problem document."""
        refused: int | None = None

        async def answer(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start" and _is_plain_error(message):
                refused = message["status"]
            elif refused is None:
                await send(message)
            elif not message.get("more_body", False):
                text = _SENTENCES.get(refused, "the service refuses the request.")
                await document(refused, text, {})(scope, receive, send)

        await self.app(scope, receive, answer)


def _is_plain_error(message: Message) -> bool:
    kind = next((v for k, v in message.get("headers", ()) if k == b"content-type"), b"")
    return message["status"] >= 400 and kind.startswith(b"text/plain")
