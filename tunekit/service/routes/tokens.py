"""Routes for tokens: of the caller, and of a project for its machines."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from tunekit.service.access.accounts import Accounts
from tunekit.service.access.audited_changes import note
from tunekit.service.access.gate import Principal
from tunekit.service.access.projects import unknown_project
from tunekit.service.access.roles import Role
from tunekit.service.access.tokens import Owner
from tunekit.service.endpoints import endpoint, reply
from tunekit.service.links import Links
from tunekit.service.routes.account_parts import (
    NO_STORE,
    AfterId,
    Calling,
    InAccounts,
    PageSize,
    TokenId,
)
from tunekit.service.routes.parts import MAX_ITEMS, listed
from tunekit.storages.codec import to_dict
from tunekit.storages.http import account_messages as m

router = APIRouter(tags=["tokens"])


@endpoint(
    router, "GET", "/tokens", role=Role.CALLER, answer=m.TokenPage, permission="full login"
)  # fmt: skip
def list_tokens(
    accounts: InAccounts, caller: Calling, after: AfterId = 0, limit: PageSize = MAX_ITEMS
) -> Response:
    """List the caller's tokens, without their secrets."""
    return _page(accounts, _person(caller), after, limit)


@endpoint(
    router, "POST", "/tokens", role=Role.CALLER, body=m.TokenNew,
    example={"label": "laptop"}, answer=m.IssuedToken,
    status=201, permission="full login", links=Links({"token_id": "$response.body#/token/id"}),
)  # fmt: skip
def issue_token(
    request: Request, accounts: InAccounts, caller: Calling, given: m.TokenNew
) -> Response:
    """Create a token of the caller; its secret is in this answer only."""
    note(request, **to_dict(given))
    owner = _person(caller)
    if given.project is not None and caller.grant and given.project not in caller.grant.roles:
        raise unknown_project(given.project)
    issued = accounts.tokens.issue(owner, given)
    return reply(issued, 201, NO_STORE)


@endpoint(
    router, "DELETE", "/tokens/{token_id}", role=Role.CALLER, status=204, permission="full login"
)  # fmt: skip
def revoke_token(accounts: InAccounts, caller: Calling, token_id: TokenId) -> None:
    """Revoke a token of the caller at once."""
    accounts.tokens.revoke(_person(caller), token_id)


@endpoint(router, "GET", "/projects/{project}/tokens", role=Role.ADMIN, answer=m.TokenPage)
def list_machine_tokens(
    accounts: InAccounts, project: str, after: AfterId = 0, limit: PageSize = MAX_ITEMS
) -> Response:
    """List the tokens of a project's machines, without their secrets."""
    return _page(accounts, Owner(project=project), after, limit)


@endpoint(
    router, "POST", "/projects/{project}/tokens", role=Role.ADMIN, body=m.MachineTokenNew,
    example={"label": "cluster"},
    answer=m.IssuedToken, status=201, permission="full login",
    links=Links({"machine_token_id": "$response.body#/token/id"}),
)  # fmt: skip
def issue_machine_token(
    request: Request, accounts: InAccounts, project: str, given: m.MachineTokenNew
) -> Response:
    """Create a token for a project's machines; its secret is in this answer only."""
    note(request, **to_dict(given))
    issued = accounts.tokens.issue(Owner(project=project), given)
    return reply(issued, 201, NO_STORE)


@endpoint(
    router, "DELETE", "/projects/{project}/tokens/{machine_token_id}", role=Role.ADMIN, status=204
)  # fmt: skip
def revoke_machine_token(accounts: InAccounts, project: str, machine_token_id: TokenId) -> None:
    """Revoke a token of a project's machines at once."""
    accounts.tokens.revoke(Owner(project=project), machine_token_id)


def _person(caller: Principal) -> Owner:
    assert caller.grant is not None and caller.grant.user_id is not None, "a full login"
    return Owner(user_id=caller.grant.user_id)


def _page(accounts: Accounts, owner: Owner, after: int, limit: int) -> Response:
    rows = accounts.tokens.page(owner, after, limit + 1)
    return listed("tokens", rows, limit, cursor=lambda token: token.id)
