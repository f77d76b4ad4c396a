"""Serves the application under a path, behind a proxy that cuts it off or one that does not."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from tunekit.service.middleware import Middleware


class RootPath(Middleware):
    """Wraps an application that is published under a path.

    Args:
        app: the application.
        root: path without a slash at its end; empty for none.
    """

    def __init__(self, app: ASGIApp, root: str) -> None:
        super().__init__(app)
        self._root = root

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request; the application sees its path with the root, as ASGI has it."""
        if self._root:
            scope["root_path"] = self._root
            if not f"{scope['path']}/".startswith(f"{self._root}/"):
                scope["path"] = self._root + scope["path"]
        await self.app(scope, receive, send)
