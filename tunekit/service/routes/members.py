"""Routes for the roles of users in a project."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from tunekit.service.access.audited_changes import note
from tunekit.service.access.roles import Role
from tunekit.service.endpoints import body_of, endpoint, reply
from tunekit.service.links import Links
from tunekit.service.routes.account_parts import AfterName, InAccounts, PageSize, UserName
from tunekit.service.routes.parts import ITEMS, MAX_ITEMS, page_of
from tunekit.storages.codec import to_dict
from tunekit.storages.http import account_messages as m

router = APIRouter(prefix="/projects/{project}/members", tags=["members"])


@endpoint(
    router, "GET", "", role=Role.VIEWER, answer=m.MemberPage,
    links=Links({"user": "$response.body#/members/0/user"}),
)  # fmt: skip
async def list_members(
    accounts: InAccounts, project: str, after: AfterName = "", limit: PageSize = MAX_ITEMS
) -> Response:
    """List the members of a project by name."""
    rows = await run_in_threadpool(accounts.projects.members, project, after, limit + 1)
    page = page_of(rows, limit=limit)
    return page.reply({"members": ITEMS, "after": page.items[-1].user if page.is_cut else None})


@endpoint(
    router, "PUT", "/{user}", role=Role.ADMIN, body=m.MemberRole,
    example={"role": "admin"}, answer=m.Member
)  # fmt: skip
async def set_member(
    request: Request, accounts: InAccounts, project: str, user: UserName
) -> Response:
    """Give a user a role in the project, instead of the one they have."""
    given = await body_of(request, m.MemberRole)
    note(request, **to_dict(given))
    await run_in_threadpool(accounts.projects.set_role, project, user, given.role)
    return reply(m.Member(user, given.role))


@endpoint(router, "DELETE", "/{user}", role=Role.ADMIN, status=204)
async def remove_member(accounts: InAccounts, project: str, user: UserName) -> Response:
    """Take a user's role in the project, and revoke their tokens for it alone."""
    await run_in_threadpool(accounts.projects.remove, project, user)
    return Response(status_code=204)
