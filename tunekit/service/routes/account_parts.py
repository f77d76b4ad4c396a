"""What the routes about accounts read from a request."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Query, Request

from tunekit.errors import UnknownAccount
from tunekit.service.access.accounts import Accounts
from tunekit.service.access.gate import Principal
from tunekit.service.routes.parts import MAX_ITEMS
from tunekit.storages.http.browser import SESSION_COOKIE

NO_STORE = {"Cache-Control": "no-store"}
"""Headers of an answer with a secret."""


def service_accounts(request: Request) -> Accounts:
    """Return the accounts of the service.

    Raises:
        UnknownAccount: it runs without.
    """
    accounts: Accounts | None = request.app.state.service.accounts
    if accounts is None:
        raise UnknownAccount(
            "this service runs without accounts; start it without --no-accounts to have users, "
            "tokens and projects with roles."
        )
    return accounts


def calling(request: Request) -> Principal:
    """Return who sends the request."""
    principal: Principal = request.state.principal
    return principal


def session_secret(request: Request) -> str | None:
    """Return the secret of the request's session, `None` without one."""
    return request.cookies.get(SESSION_COOKIE)


InAccounts = Annotated[Accounts, Depends(service_accounts)]
Calling = Annotated[Principal, Depends(calling)]
SessionSecret = Annotated[str | None, Depends(session_secret)]
UserName = Annotated[str, Path(max_length=64, description="Name of a user.")]
AfterName = Annotated[str, Query(max_length=200, description="Name of the last one.")]
AfterId = Annotated[int, Query(ge=0, le=2**31 - 1, description="Id of the last one.")]
TokenId = Annotated[int, Path(ge=1, le=2**31 - 1, description="Id of a token.")]
PageSize = Annotated[int, Query(ge=1, le=MAX_ITEMS, description="Most items of the page.")]
