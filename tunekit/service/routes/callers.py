"""Routes about the caller."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

import tunekit
from tunekit.service.access.gate import Principal
from tunekit.service.access.roles import Role
from tunekit.service.endpoints import endpoint, reply
from tunekit.service.links import Links
from tunekit.storages.http.messages import Caller

router = APIRouter(tags=["callers"])


@endpoint(
    router, "GET", "/caller", role=Role.CALLER, answer=Caller,
    links=Links(
        {"project": "$response.body#/project", "user": "$response.body#/user"}, is_entry=True
    ),
)  # fmt: skip
def get_caller(request: Request) -> Response:
    """Return who is calling, and their default project."""
    caller: Principal = request.state.principal
    kind = "open" if caller.kind == "anonymous" else caller.kind
    record = Caller(
        caller.name, caller.project, tunekit.__version__, kind,
        is_operator=caller.role is Role.OPERATOR,
        csrf=caller.grant.csrf if caller.grant is not None else "",
    )  # fmt: skip
    return reply(record, headers={"Cache-Control": "no-store"})
