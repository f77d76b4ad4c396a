"""Defines the tables of the service's accounts: users, projects, roles, tokens, sessions.

A secret is never stored: of tokens, sessions and links there is the SHA-256 digest, which is
enough for secrets of 256 random bits, and of passwords the argon2id hash.
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Double, Index, Integer, String, Table, Text

from tunekit.storages.sql.schema import metadata

projects = Table(
    "tk_projects",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("created", Double, nullable=False),
    sqlite_autoincrement=True,  # ids of deleted rows are never given again
)

users = Table(
    "tk_users",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("password", Text),  # argon2id; NULL: logs in elsewhere, or not yet
    Column("subject", Text, unique=True),  # who it is at the OIDC provider
    Column("is_operator", Boolean, nullable=False),
    Column("may_create", Boolean, nullable=False),
    Column("is_active", Boolean, nullable=False),
    Column("created", Double, nullable=False),
    sqlite_autoincrement=True,
)

members = Table(
    "tk_members",
    metadata,
    Column("project_id", Integer, primary_key=True, autoincrement=False),
    Column("user_id", Integer, primary_key=True, autoincrement=False),
    Column("role", String(16), nullable=False),
)

tokens = Table(
    "tk_tokens",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("digest", String(64), nullable=False, unique=True),
    Column("label", Text, nullable=False),
    Column("user_id", Integer),  # its owner; NULL: the project is, for machines
    Column("project_id", Integer),  # the only project it opens; NULL: all of its owner's
    Column("role", String(16), nullable=False),  # most that it may do there
    Column("created", Double, nullable=False),
    Column("expires", Double),
    Column("last_used", Double),
    Column("revoked", Double),
    sqlite_autoincrement=True,
)

sessions = Table(
    "tk_sessions",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("user_id", Integer, nullable=False),
    Column("csrf", String(64), nullable=False),
    Column("created", Double, nullable=False),
    Column("expires", Double, nullable=False),
)

invitations = Table(
    "tk_invitations",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("user_id", Integer),  # whose password it sets; NULL: makes the first operator
    Column("expires", Double, nullable=False),
)

Index("tk_members_user", members.c.user_id)
Index("tk_tokens_user", tokens.c.user_id)
Index("tk_tokens_project", tokens.c.project_id)
Index("tk_sessions_user", sessions.c.user_id)
