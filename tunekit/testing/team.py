"""Makes users, projects and tokens for tests, straight in the database."""

from __future__ import annotations

from typing import Any

from tunekit.service.access.accounts import Accounts
from tunekit.service.access.tokens import Owner
from tunekit.storages.http.account_messages import MachineTokenNew, RoleName, TokenNew, UserNew


class Team:
    """Shortcuts to the accounts of a service.

    Args:
        accounts: of the service.
    """

    def __init__(self, accounts: Accounts) -> None:
        self.accounts = accounts

    def project(self, name: str) -> None:
        """Create a project without members."""
        self.accounts.projects.create(name, admin=None)

    def user(self, name: str, **rights: Any) -> None:
        """Create a user."""
        self.accounts.users.create(UserNew(name, **rights))

    def member(self, name: str, project: str, role: RoleName) -> None:
        """Create a user with a role in a project."""
        self.user(name)
        self.accounts.projects.set_role(project, name, role)

    def token(self, user: str, **scope: Any) -> str:
        """Return a new token of a user, by default for all that they may do."""
        owner = Owner(user_id=self.accounts.users.login_of(user).id)
        new = TokenNew(**{"label": "test", "role": "operator", **scope})
        return self.accounts.tokens.issue(owner, new).secret

    def machine(self, project: str, role: RoleName = "worker") -> str:
        """Return a new token of a project's machines."""
        owner = Owner(project=project)
        return self.accounts.tokens.issue(owner, MachineTokenNew("robot", role)).secret


def bearer(token: str) -> dict[str, str]:
    """Return the header that carries a token."""
    return {"Authorization": f"Bearer {token}"}
