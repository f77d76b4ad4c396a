"""Routes for projects."""

from __future__ import annotations

from typing import cast

from fastapi import APIRouter, Request, Response

from tunekit.service.access.audited_changes import note
from tunekit.service.access.roles import Role
from tunekit.service.endpoints import endpoint
from tunekit.service.links import Links
from tunekit.service.routes.account_parts import AfterName, Calling, InAccounts, PageSize
from tunekit.service.routes.parts import MAX_ITEMS, listed
from tunekit.storages.http import account_messages as m

router = APIRouter(prefix="/projects", tags=["projects"])


@endpoint(router, "GET", "", role=Role.CALLER, answer=m.ProjectPage)
def list_projects(
    accounts: InAccounts, caller: Calling, after: AfterName = "", limit: PageSize = MAX_ITEMS
) -> Response:
    """List the caller's projects by name, each with what the token permits in it."""
    roles = caller.grant.roles if caller.grant is not None else {}
    names = sorted(name for name in roles if name > after)
    mine = (m.Project(name, cast(m.ScopeName, roles[name].label)) for name in names)
    return listed("projects", mine, limit, cursor=lambda project: project.name)


@endpoint(
    router, "POST", "", role=Role.CALLER, body=m.ProjectNew,
    example={"name": "vision"}, answer=m.Project, status=201,
    permission="create projects", links=Links({"project": "$response.body#/name"}),
)  # fmt: skip
def create_project(
    request: Request, accounts: InAccounts, caller: Calling, given: m.ProjectNew
) -> m.Project:
    """Create a project, whose admin the caller is."""
    note(request, project=given.name)
    admin = caller.grant.user_id if caller.grant is not None else None
    accounts.projects.create(given.name, admin=admin)
    return m.Project(given.name, "admin")


@endpoint(router, "DELETE", "/{project}", role=Role.ADMIN, status=204)
def delete_project(accounts: InAccounts, project: str) -> None:
    """Delete a project without studies, with its roles and tokens."""
    accounts.projects.delete(project)
