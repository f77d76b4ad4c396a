"""Routes for tokens: of the caller, and of a project for its machines."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from tunekit.service.access.accounts import Accounts
from tunekit.service.access.audited_changes import note
from tunekit.service.access.gate import Principal
from tunekit.service.access.projects import unknown_project
from tunekit.service.access.roles import Role
from tunekit.service.access.tokens import Owner
from tunekit.service.endpoints import body_of, endpoint, reply
from tunekit.service.links import Links
from tunekit.service.routes.account_parts import (
    NO_STORE,
    AfterId,
    Calling,
    InAccounts,
    PageSize,
    TokenId,
)
from tunekit.service.routes.parts import ITEMS, MAX_ITEMS, page_of
from tunekit.storages.codec import to_dict
from tunekit.storages.http import account_messages as m

router = APIRouter(tags=["tokens"])


@endpoint(
    router, "GET", "/tokens", role=Role.CALLER, answer=m.TokenPage, permission="full login"
)  # fmt: skip
async def list_tokens(
    accounts: InAccounts, caller: Calling, after: AfterId = 0, limit: PageSize = MAX_ITEMS
) -> Response:
    """List the caller's tokens, without their secrets."""
    return await _page(accounts, _person(caller), after, limit)


@endpoint(
    router, "POST", "/tokens", role=Role.CALLER, body=m.TokenNew,
    example={"label": "laptop"}, answer=m.IssuedToken,
    status=201, permission="full login", links=Links({"token_id": "$response.body#/token/id"}),
)  # fmt: skip
async def issue_token(request: Request, accounts: InAccounts, caller: Calling) -> Response:
    """Create a token of the caller; its secret is in this answer only."""
    new = await body_of(request, m.TokenNew)
    note(request, **to_dict(new))
    owner = _person(caller)
    if new.project is not None and caller.grant and new.project not in caller.grant.roles:
        raise unknown_project(new.project)
    issued = await run_in_threadpool(accounts.tokens.issue, owner, new)
    return reply(issued, 201, NO_STORE)


@endpoint(
    router, "DELETE", "/tokens/{token_id}", role=Role.CALLER, status=204, permission="full login"
)  # fmt: skip
async def revoke_token(accounts: InAccounts, caller: Calling, token_id: TokenId) -> Response:
    """Revoke a token of the caller at once."""
    await run_in_threadpool(accounts.tokens.revoke, _person(caller), token_id)
    return Response(status_code=204)


@endpoint(router, "GET", "/projects/{project}/tokens", role=Role.ADMIN, answer=m.TokenPage)
async def list_machine_tokens(
    accounts: InAccounts, project: str, after: AfterId = 0, limit: PageSize = MAX_ITEMS
) -> Response:
    """List the tokens of a project's machines, without their secrets."""
    return await _page(accounts, Owner(project=project), after, limit)


@endpoint(
    router, "POST", "/projects/{project}/tokens", role=Role.ADMIN, body=m.MachineTokenNew,
    example={"label": "cluster"},
    answer=m.IssuedToken, status=201, permission="full login",
    links=Links({"machine_token_id": "$response.body#/token/id"}),
)  # fmt: skip
async def issue_machine_token(request: Request, accounts: InAccounts, project: str) -> Response:
    """Create a token for a project's machines; its secret is in this answer only."""
    new = await body_of(request, m.MachineTokenNew)
    note(request, **to_dict(new))
    issued = await run_in_threadpool(accounts.tokens.issue, Owner(project=project), new)
    return reply(issued, 201, NO_STORE)


@endpoint(
    router, "DELETE", "/projects/{project}/tokens/{machine_token_id}", role=Role.ADMIN, status=204
)  # fmt: skip
async def revoke_machine_token(
    accounts: InAccounts, project: str, machine_token_id: TokenId
) -> Response:
    """Revoke a token of a project's machines at once."""
    await run_in_threadpool(accounts.tokens.revoke, Owner(project=project), machine_token_id)
    return Response(status_code=204)


def _person(caller: Principal) -> Owner:
    assert caller.grant is not None and caller.grant.user_id is not None, "a full login"
    return Owner(user_id=caller.grant.user_id)


async def _page(accounts: Accounts, owner: Owner, after: int, limit: int) -> Response:
    rows = await run_in_threadpool(accounts.tokens.page, owner, after, limit + 1)
    page = page_of(rows, limit=limit)
    return page.reply({"tokens": ITEMS, "after": page.items[-1].id if page.is_cut else None})
