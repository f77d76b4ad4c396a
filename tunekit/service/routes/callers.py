"""Routes about the caller."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

import tunekit
from tunekit.service.access.roles import Role
from tunekit.service.endpoints import endpoint, reply
from tunekit.storages.http.messages import Caller

router = APIRouter(tags=["callers"])


@endpoint(router, "GET", "/caller", role=Role.CALLER, answer=Caller)
async def get_caller(request: Request) -> Response:
    """Return who is calling, and their default project."""
    principal = request.state.principal
    return reply(Caller(principal.name, principal.project, tunekit.__version__))
