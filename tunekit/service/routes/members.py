"""Routes for the roles of users in a project."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from tunekit.service.access.audited_changes import note
from tunekit.service.access.roles import Role
from tunekit.service.endpoints import endpoint
from tunekit.service.links import Links
from tunekit.service.routes.account_parts import AfterName, InAccounts, PageSize, UserName
from tunekit.service.routes.parts import MAX_ITEMS, listed
from tunekit.storages.codec import to_dict
from tunekit.storages.http import account_messages as m

router = APIRouter(prefix="/projects/{project}/members", tags=["members"])


@endpoint(
    router, "GET", "", role=Role.VIEWER, answer=m.MemberPage,
    links=Links({"user": "$response.body#/members/0/user"}),
)  # fmt: skip
def list_members(
    accounts: InAccounts, project: str, after: AfterName = "", limit: PageSize = MAX_ITEMS
) -> Response:
    """List the members of a project by name."""
    rows = accounts.projects.members(project, after, limit + 1)
    return listed("members", rows, limit, cursor=lambda member: member.user)


@endpoint(
    router, "PUT", "/{user}", role=Role.ADMIN, body=m.MemberRole,
    example={"role": "admin"}, answer=m.ProjectMember
)  # fmt: skip
def set_member(
    request: Request, accounts: InAccounts, project: str, user: UserName, given: m.MemberRole
) -> m.ProjectMember:
    """Give a user a role in the project, instead of the one they have."""
    note(request, **to_dict(given))
    accounts.projects.set_role(project, user, given.role)
    return m.ProjectMember(user, given.role)


@endpoint(router, "DELETE", "/{user}", role=Role.ADMIN, status=204)
def remove_member(accounts: InAccounts, project: str, user: UserName) -> None:
    """Take a user's role in the project, and revoke their tokens for it alone."""
    accounts.projects.remove(project, user)
