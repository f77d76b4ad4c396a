"""Routes for users; operators only."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from tunekit.service.access.audited_changes import note
from tunekit.service.access.roles import Role
from tunekit.service.endpoints import body_of, endpoint, reply
from tunekit.service.links import Links
from tunekit.service.routes.account_parts import (
    NO_STORE,
    AfterName,
    InAccounts,
    PageSize,
    UserName,
)
from tunekit.service.routes.parts import ITEMS, MAX_ITEMS, page_of
from tunekit.storages.codec import to_dict
from tunekit.storages.http import account_messages as m

router = APIRouter(prefix="/users", tags=["users"])


@endpoint(router, "GET", "", role=Role.OPERATOR, answer=m.UserPage)
async def list_users(
    accounts: InAccounts, after: AfterName = "", limit: PageSize = MAX_ITEMS
) -> Response:
    """List the users by name."""
    rows = await run_in_threadpool(accounts.users.page, after, limit + 1)
    page = page_of(rows, limit=limit)
    return page.reply({"users": ITEMS, "after": page.items[-1].name if page.is_cut else None})


@endpoint(
    router, "POST", "", role=Role.OPERATOR, body=m.UserNew,
    example={"name": "ann"}, answer=m.Invitation, status=201,
    links=Links({"user": "$response.body#/user"}),
)  # fmt: skip
async def create_user(request: Request, accounts: InAccounts) -> Response:
    """Create a user; the link in the answer lets them set their password, once."""
    new = await body_of(request, m.UserNew)
    note(request, **to_dict(new))
    await run_in_threadpool(accounts.users.create, new)
    invitation = await run_in_threadpool(accounts.invitations.invite, new.name)
    return reply(invitation, 201, NO_STORE)


@endpoint(
    router, "PATCH", "/{user}", role=Role.OPERATOR, body=m.UserChange,
    example={"may_create": True}, answer=m.User
)  # fmt: skip
async def change_user(request: Request, accounts: InAccounts, user: UserName) -> Response:
    """Change a user's rights, or disable them, which ends their sessions and tokens at once."""
    change = await body_of(request, m.UserChange)
    note(request, **to_dict(change))
    return reply(await run_in_threadpool(accounts.users.change, user, change))


@endpoint(router, "POST", "/{user}:invite", role=Role.OPERATOR, answer=m.Invitation)
async def invite_user(accounts: InAccounts, user: UserName) -> Response:
    """Return a link with which a user sets a new password, once; an older one ends."""
    return reply(await run_in_threadpool(accounts.invitations.invite, user), headers=NO_STORE)
