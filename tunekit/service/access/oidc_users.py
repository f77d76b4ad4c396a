"""Finds the account of somebody who logged in at the OIDC provider, or makes one."""

from __future__ import annotations

import re

from tunekit.errors import NameTaken, NotAuthenticated
from tunekit.service.access.accounts import Accounts
from tunekit.service.access.oidc_records import OIDCIdentity
from tunekit.storages.http.account_messages import UserNew

MAX_TRIES = 20
"""Names that are tried for a new account before it is refused."""


def account_of(accounts: Accounts, who: OIDCIdentity, *, may_create: bool) -> tuple[int, str]:
    """Return id and name of an account; blocks.

    It is found by the subject alone: a name or e-mail address can be given to somebody else at
    the provider, and must not open an account here.

    Raises:
        NotAuthenticated: there is none, and none may be made; or it is disabled.
    """
    row = accounts.users.of_subject(who.subject)
    if row is None and may_create:
        _create(accounts, who)
        row = accounts.users.of_subject(who.subject)
    if row is None:
        raise NotAuthenticated(
            f"{who.name[:64]!r} has no account here; ask an operator for one with the subject "
            f"{who.subject!r}."
        )
    if not row.is_active:
        raise NotAuthenticated("the account is disabled; ask an operator.")
    return row.id, row.name


def _create(accounts: Accounts, who: OIDCIdentity) -> None:
    base = re.sub(r"[^a-z0-9._@+-]", "-", who.name.lower()).lstrip("._@+-")[:60] or "user"
    for n in range(1, MAX_TRIES + 1):
        name = base if n == 1 else f"{base}-{n}"
        try:
            accounts.users.create(UserNew(name, subject=who.subject))
            return
        except NameTaken:
            if accounts.users.of_subject(who.subject) is not None:
                return  # made at the same time by another request
    raise NotAuthenticated(f"no free name for {who.name[:64]!r}; ask an operator for an account.")
