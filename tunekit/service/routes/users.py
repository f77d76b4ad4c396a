"""Routes for users; operators only."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from tunekit.service.access.audited_changes import note
from tunekit.service.access.roles import Role
from tunekit.service.endpoints import endpoint, reply
from tunekit.service.links import Links
from tunekit.service.routes.account_parts import (
    NO_STORE,
    AfterName,
    InAccounts,
    PageSize,
    UserName,
)
from tunekit.service.routes.parts import MAX_ITEMS, listed
from tunekit.storages.codec import to_dict
from tunekit.storages.http import account_messages as m

router = APIRouter(prefix="/users", tags=["users"])


@endpoint(router, "GET", "", role=Role.OPERATOR, answer=m.UserPage)
def list_users(
    accounts: InAccounts, after: AfterName = "", limit: PageSize = MAX_ITEMS
) -> Response:
    """List the users by name."""
    rows = accounts.users.page(after, limit + 1)
    return listed("users", rows, limit, cursor=lambda user: user.name)


@endpoint(
    router, "POST", "", role=Role.OPERATOR, body=m.UserNew,
    example={"name": "ann"}, answer=m.Invitation, status=201,
    links=Links({"user": "$response.body#/user"}),
)  # fmt: skip
def create_user(request: Request, accounts: InAccounts, given: m.UserNew) -> Response:
    """Create a user; the link in the answer lets them set their password, once."""
    note(request, **to_dict(given))
    accounts.users.create(given)
    invitation = accounts.invitations.invite(given.name)
    return reply(invitation, 201, NO_STORE)


@endpoint(
    router, "PATCH", "/{user}", role=Role.OPERATOR, body=m.UserChange,
    example={"may_create": True}, answer=m.User
)  # fmt: skip
def change_user(
    request: Request, accounts: InAccounts, user: UserName, given: m.UserChange
) -> m.User:
    """Change a user's rights, or disable them, which ends their sessions and tokens at once."""
    note(request, **to_dict(given))
    return accounts.users.change(user, given)


@endpoint(router, "POST", "/{user}:invite", role=Role.OPERATOR, answer=m.Invitation)
def invite_user(accounts: InAccounts, user: UserName) -> Response:
    """Return a link with which a user sets a new password, once; an older one ends."""
    return reply(accounts.invitations.invite(user), headers=NO_STORE)
