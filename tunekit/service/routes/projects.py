"""Routes for projects."""

from __future__ import annotations

from typing import cast

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from tunekit.service.access.audited_changes import note
from tunekit.service.access.roles import Role
from tunekit.service.endpoints import body_of, endpoint, reply
from tunekit.service.links import Links
from tunekit.service.routes.account_parts import AfterName, Calling, InAccounts, PageSize
from tunekit.service.routes.parts import ITEMS, MAX_ITEMS, page_of
from tunekit.storages.http import account_messages as m

router = APIRouter(prefix="/projects", tags=["projects"])


@endpoint(router, "GET", "", role=Role.CALLER, answer=m.ProjectPage)
async def list_projects(
    accounts: InAccounts, caller: Calling, after: AfterName = "", limit: PageSize = MAX_ITEMS
) -> Response:
    """List the caller's projects by name, each with what the token permits in it."""
    roles = caller.grant.roles if caller.grant is not None else {}
    names = sorted(name for name in roles if name > after)
    mine = (m.Project(name, cast(m.ScopeName, roles[name].label)) for name in names)
    page = page_of(mine, limit=limit)
    return page.reply({"projects": ITEMS, "after": page.items[-1].name if page.is_cut else None})


@endpoint(
    router, "POST", "", role=Role.CALLER, body=m.ProjectNew,
    example={"name": "vision"}, answer=m.Project, status=201,
    permission="create projects", links=Links({"project": "$response.body#/name"}),
)  # fmt: skip
async def create_project(request: Request, accounts: InAccounts, caller: Calling) -> Response:
    """Create a project, whose admin the caller is."""
    new = await body_of(request, m.ProjectNew)
    note(request, project=new.name)
    admin = caller.grant.user_id if caller.grant is not None else None
    await run_in_threadpool(accounts.projects.create, new.name, admin=admin)
    return reply(m.Project(new.name, "admin"), 201)


@endpoint(router, "DELETE", "/{project}", role=Role.ADMIN, status=204)
async def delete_project(accounts: InAccounts, project: str) -> Response:
    """Delete a project without studies, with its roles and tokens."""
    await run_in_threadpool(accounts.projects.delete, project)
    return Response(status_code=204)
