"""Admits callers by their token or session, and their role in the project of the path."""

from __future__ import annotations

import hmac

from fastapi import Request

from tunekit.errors import NotAllowed, NotAuthenticated
from tunekit.service.access.accounts import Accounts
from tunekit.service.access.gate import Principal
from tunekit.service.access.grants import Grant
from tunekit.service.access.projects import unknown_project
from tunekit.service.access.roles import Role
from tunekit.service.access.secret_texts import digest_of
from tunekit.storages.http.browser import CSRF_HEADER, SESSION_COOKIE

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
MAX_SECRET = 200
"""Longest text that is looked up as a secret, in characters."""


class AccountsGate:
    """Admits users and machines with a bearer token, and users with the cookie of a session."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    async def admit(self, request: Request, role: Role, project: str | None) -> Principal:
        """Return who sends the request, if they have the role in the project."""
        if role is Role.ANYONE:
            return Principal(kind="anonymous", role=Role.ANYONE)
        grant = await self.grant(request)
        if project is None:
            held = Role.OPERATOR if grant.is_operator and grant.is_full else Role.CALLER
        elif project in grant.roles:
            held = grant.roles[project]
        else:
            raise unknown_project(project)
        if held < role:
            where = "the service" if project is None else f"project {project!r}"
            raise NotAllowed(
                f"{grant.name!r} may act as {held.label} in {where}, and the request needs "
                f"{role.label}; ask an admin for that role, or use a token with more scope."
            )
        return Principal(grant.name, grant.default_project, grant.kind, held, grant)

    async def grant(self, request: Request) -> Grant:
        """Return what the request's token or session permits.

        Raises:
            NotAuthenticated: there is none, or it is not valid.
            NotAllowed: a request with a session that changes something lacks the CSRF token.
        """
        accounts = self._accounts
        header = request.headers.get("authorization")
        cookie = request.cookies.get(SESSION_COOKIE)
        if header is not None:
            scheme, _, secret = header.partition(" ")
            read = accounts.grants.of_token
            secret = secret.strip() if scheme.lower() == "bearer" else ""
        elif cookie is not None:
            secret, read = cookie, accounts.grants.of_session
        else:
            raise NotAuthenticated(
                "the request carries no token; log in with `tunekit login URL`, or send "
                "`Authorization: Bearer TOKEN`."
            )
        grant = None
        if 0 < len(secret) <= MAX_SECRET:
            grant = await accounts.known.grant(digest_of(secret), read)
        if grant is None:
            raise NotAuthenticated(
                "the token or session is unknown, has expired or was revoked; log in again with "
                "`tunekit login URL`."
            )
        if header is None:
            _check_csrf(request, grant)
        return grant


def _check_csrf(request: Request, grant: Grant) -> None:
    if request.method in SAFE:
        return
    given = request.headers.get(CSRF_HEADER, "")
    if not hmac.compare_digest(given.encode(), grant.csrf.encode()):
        raise NotAllowed(
            f"a request with a session that changes something needs the header {CSRF_HEADER}; "
            "its value is in the answer of /login and of /caller."
        )
