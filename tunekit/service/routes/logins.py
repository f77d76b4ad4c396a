"""Routes that begin and end logins, and set passwords."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from tunekit.errors import InvalidArgument, NotAuthenticated
from tunekit.service.access.accounts import Accounts
from tunekit.service.access.audited_changes import note
from tunekit.service.access.invitations import invalid_link
from tunekit.service.access.passwords import check_password
from tunekit.service.access.roles import Role
from tunekit.service.access.secret_texts import digest_of
from tunekit.service.endpoints import endpoint, reply
from tunekit.service.routes.account_parts import NO_STORE, Calling, InAccounts, SessionSecret
from tunekit.storages.http import account_messages as m
from tunekit.storages.http.browser import SESSION_COOKIE

router = APIRouter(tags=["logins"])


@endpoint(
    router,
    "POST",
    "/login",
    role=Role.ANYONE,
    body=m.LoginRequest,
    example={"name": "ann", "password": "correct horse battery"},
    answer=m.Login,
)
async def log_in(
    request: Request, accounts: InAccounts, before: SessionSecret, given: m.LoginRequest
) -> Response:
    """Begin a session with a password; its cookie comes with the answer."""
    user = await run_in_threadpool(accounts.users.login_of, given.name)
    # A name that nobody has may be a password in the wrong field.
    note(request, user=given.name if user is not None else "unknown")
    stored: str | None = None if user is None else user.password
    if not await accounts.passwords.verify(stored, given.password) or stored is None:
        raise NotAuthenticated("user or password is wrong, or the account is disabled.")
    if accounts.passwords.is_outdated(stored):
        await _rehash(accounts, user.id, given.password)
    return await begin_session(request, accounts, user.id, user.name, before)


@endpoint(router, "POST", "/logout", role=Role.CALLER, status=204)
def log_out(request: Request, accounts: InAccounts, before: SessionSecret) -> Response:
    """End the session of the cookie; tokens stay valid until they are revoked."""
    if before is not None:
        accounts.sessions.end(before)
    answer = Response(status_code=204)
    answer.delete_cookie(SESSION_COOKIE, path=_cookie_path(request), httponly=True, samesite="lax")
    return answer


@endpoint(
    router,
    "POST",
    "/setup",
    role=Role.ANYONE,
    body=m.SetupRequest,
    example={"secret": "of-the-link", "password": "correct horse battery"},
    answer=m.Login,
)
async def set_up(
    request: Request, accounts: InAccounts, before: SessionSecret, given: m.SetupRequest
) -> Response:
    """Use a one-time link: make the first operator, or set a user's password; and log in."""
    # Nobody without a link makes the service hash.
    if not await run_in_threadpool(accounts.invitations.is_valid, given.secret):
        raise invalid_link()
    hashed = await accounts.passwords.hash(given.password)
    user_id, name = await run_in_threadpool(
        accounts.invitations.redeem, given.secret, hashed, given.name
    )
    return await begin_session(request, accounts, user_id, name, before)


@endpoint(
    router, "PUT", "/caller/password", role=Role.CALLER, body=m.PasswordChange,
    example={"current": "correct horse battery", "new": "staple battery horse"}, status=204,
    permission="full login",
)  # fmt: skip
async def change_password(
    accounts: InAccounts, caller: Calling, before: SessionSecret, given: m.PasswordChange
) -> None:
    """Replace the caller's password; their other sessions end."""
    check_password(given.new)
    user = await run_in_threadpool(accounts.users.login_of, caller.name)
    stored: str | None = None if user is None else user.password
    if not await accounts.passwords.verify(stored, given.current):
        raise InvalidArgument("the current password is wrong; nothing was changed.")
    hashed = await accounts.passwords.hash(given.new)
    keep = None if before is None else digest_of(before)
    await run_in_threadpool(accounts.users.set_password, user.id, hashed, keep=keep)


async def begin_session(
    request: Request, accounts: Accounts, user_id: int, name: str, before: str | None
) -> Response:
    """Return the answer that begins a session; the browser's last one ends."""
    note(request, user=name)
    session = await run_in_threadpool(accounts.sessions.begin, user_id, instead_of=before)
    answer = reply(m.Login(name, session.csrf, session.expires), headers=NO_STORE)
    set_cookie(request, answer, session.secret)
    return answer


def set_cookie(request: Request, answer: Response, secret: str) -> None:
    """Add the cookie of a session, which ends with the browser or the session."""
    answer.set_cookie(
        SESSION_COOKIE,
        secret,
        path=_cookie_path(request),
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )


async def _rehash(accounts: Accounts, user_id: int, password: str) -> None:
    hashed = await accounts.passwords.hash(password)
    await run_in_threadpool(accounts.users.rehash, user_id, hashed)


def _cookie_path(request: Request) -> str:
    return str(request.scope.get("root_path") or "/")
