"""Writes an entry of the audit log after each change, whichever route makes it.

Routes of workers are left out, because the transaction of an exchange writes its own entries, and
so are those of viewers, which change nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from starlette.types import Message, Scope

from tunekit.service.access.audit_log import AuditLog
from tunekit.service.access.origin import ORIGIN
from tunekit.service.access.roles import Role
from tunekit.service.middleware import AnswerMiddleware

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_UNAUDITED = frozenset({Role.VIEWER.name.lower(), Role.WORKER.name.lower()})
_ANYONE = Role.ANYONE.name.lower()


@dataclass(eq=False)
class AuditedChanges(AnswerMiddleware):
    """Wraps an application; an entry is committed before the answer is sent.

    Attributes:
        log: where entries go.
    """

    log: AuditLog

    async def begin(self, scope: Scope, start: Message) -> None:
        """Write the entry of a request."""
        status = start["status"]
        route = scope.get("route")
        if scope["method"] in _SAFE and not _noted(scope):
            return
        role = (getattr(route, "openapi_extra", None) or {}).get("x-role")
        if role is None or role in _UNAUDITED:
            return
        action = str(getattr(route, "name", ""))
        if status >= 400:
            if role != _ANYONE:
                return
            action += " refused"  # a failed login
        data = {**_noted(scope), **scope.get("path_params", {})}
        project, study_id = data.pop("project", ""), data.pop("study_id", None)
        await run_in_threadpool(
            self.log.add, ORIGIN.get(), action, project=project,
            study_id=None if study_id is None else int(study_id), data=data,
        )  # fmt: skip


def _noted(scope: Scope) -> dict[str, Any]:
    noted: dict[str, Any] = scope.get("state", {}).get("noted", {})
    return noted


def note(request: Request, **data: Any) -> None:
    """Add plain JSON to the audit entry of a request; `study_id` and `project` have columns.

    Parameters of the path are in it anyway. A GET gets an entry by this: one that logs in.
    """
    request.state.noted = {**_noted(request.scope), **data}
