"""Routes of the login at an OpenID Connect provider, for browsers."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from tunekit.errors import NotAuthenticated, UnknownAccount
from tunekit.service.access.audited_changes import note
from tunekit.service.access.oidc_records import Begun
from tunekit.service.access.oidc_users import account_of
from tunekit.service.access.roles import Role
from tunekit.service.endpoints import endpoint
from tunekit.service.routes.account_parts import InAccounts, SessionSecret
from tunekit.service.routes.logins import set_cookie

if TYPE_CHECKING:
    from tunekit.service.access.oidc import OIDC

router = APIRouter(prefix="/oidc", tags=["logins"])

COOKIE = "tunekit_oidc"
LOGIN_S = 600
"""Seconds that somebody has to log in at the provider."""


@endpoint(router, "GET", "/login", role=Role.ANYONE, status=303)
async def begin_oidc_login(request: Request, accounts: InAccounts) -> Response:
    """Send the browser to the provider."""
    begun = await _provider(request).begin(_callback(request))
    answer = Response(status_code=303, headers={"Location": begun.url})
    # The browser keeps it, so that any replica may finish, and another browser may not.
    kept = base64.urlsafe_b64encode(json.dumps(asdict(begun)).encode()).decode()
    answer.set_cookie(
        COOKIE,
        kept,
        max_age=LOGIN_S,
        path=_path(request),
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )
    return answer


@endpoint(router, "GET", "/callback", role=Role.ANYONE, status=303)
async def finish_oidc_login(
    request: Request, accounts: InAccounts, before: SessionSecret
) -> Response:
    """Begin a session for whom the provider sends back, and go on to the login page."""
    provider = _provider(request)
    answer = dict(request.query_params)
    who = await provider.finish(_begun(request), _callback(request), answer)
    may_create = provider.settings.create_users
    user_id, name = await run_in_threadpool(account_of, accounts, who, may_create=may_create)
    note(request, user=name)
    session = await run_in_threadpool(accounts.sessions.begin, user_id, instead_of=before)
    root = request.scope.get("root_path", "")
    done = Response(status_code=303, headers={"Location": f"{root}/login"})
    set_cookie(request, done, session.secret)
    done.delete_cookie(COOKIE, path=_path(request), httponly=True, samesite="lax")
    return done


def _provider(request: Request) -> OIDC:
    provider: OIDC | None = request.app.state.service.oidc
    if provider is None:
        raise UnknownAccount(
            "this service has no OIDC provider; log in with a password, or start it with "
            "the setting oidc_issuer."
        )
    return provider


def _begun(request: Request) -> Begun:
    """Return the login that this browser began.

    Raises:
        NotAuthenticated: it began none, or long ago.
    """
    try:
        doc = json.loads(base64.urlsafe_b64decode(request.cookies.get(COOKIE, "")))
        begun = Begun(**doc)
    except (ValueError, TypeError, binascii.Error):
        begun = None
    if begun is None or not all(isinstance(v, str) and v for v in asdict(begun).values()):
        raise NotAuthenticated("this login was not begun in this browser; log in again.")
    return begun


def _callback(request: Request) -> str:
    return str(request.url_for("finish_oidc_login"))


def _path(request: Request) -> str:
    return f"{request.scope.get('root_path', '')}/oidc"
