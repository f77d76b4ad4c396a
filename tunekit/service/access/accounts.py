"""Joins what the service knows of its users, projects and tokens."""

from __future__ import annotations

from tunekit.service.access.database import AccessDatabase
from tunekit.service.access.grants import Grants
from tunekit.service.access.invitations import Invitations
from tunekit.service.access.known_grants import KnownGrants
from tunekit.service.access.passwords import Passwords
from tunekit.service.access.projects import Projects
from tunekit.service.access.sessions import Sessions
from tunekit.service.access.tokens import Tokens
from tunekit.service.access.users import Users
from tunekit.storages.sql.database import Database


class Accounts:
    """Users, projects, tokens and sessions in one database.

    Args:
        database: with the tables of tunekit.
        passwords: hashes passwords.
    """

    def __init__(self, database: Database, passwords: Passwords | None = None) -> None:
        tables = AccessDatabase(database)
        self.users = Users(tables)
        self.projects = Projects(tables)
        self.tokens = Tokens(tables)
        self.sessions = Sessions(tables)
        self.invitations = Invitations(tables)
        self.grants = Grants(tables)
        self.known = KnownGrants(tables)
        self.passwords = passwords or Passwords()
        self.projects.adopt()

    def close(self) -> None:
        """Stop hashing passwords."""
        self.passwords.close()
