"""Serves the application under a path prefix, whether or not the proxy strips it."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.types import Receive, Scope, Send

from tunekit.service.middleware import Middleware


@dataclass(eq=False)
class RootPath(Middleware):
    """Wraps an application that is published under a path.

    Attributes:
        root: path without a slash at its end; empty for none.
    """

    root: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request or a websocket; hand on anything else."""
        handle = self.serve if scope["type"] in ("http", "websocket") else self.app
        await handle(scope, receive, send)

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request; the application sees its path with the root, as ASGI has it."""
        if self.root:
            scope["root_path"] = self.root
            if not f"{scope['path']}/".startswith(f"{self.root}/"):
                scope["path"] = self.root + scope["path"]
                scope["raw_path"] = self.root.encode() + scope.get("raw_path", b"")
        await self.app(scope, receive, send)
