"""Defines the tables of the service's accounts: users, projects, roles, tokens, sessions.

A secret is never stored: of tokens, sessions and links there is the SHA-256 digest, which is
enough for secrets of 256 random bits, and of passwords the argon2id hash.
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Double, Index, Integer, String, Table, Text

from tunekit.storages.sql.schema import counted, key_of, metadata, required

projects = counted(
    "tk_projects",
    Column("name", Text, nullable=False, unique=True),
    Column("created", Double, nullable=False),
)

users = counted(
    "tk_users",
    Column("name", Text, nullable=False, unique=True),
    Column("password", Text),  # argon2id; NULL: logs in elsewhere, or not yet
    Column("subject", Text, unique=True),  # who it is at the OIDC provider
    *required(is_operator=Boolean, may_create=Boolean, is_active=Boolean, created=Double),
)

members = Table(
    "tk_members",
    metadata,
    *key_of(project_id=Integer, user_id=Integer),
    Column("role", String(16), nullable=False),
)

tokens = counted(
    "tk_tokens",
    Column("digest", String(64), nullable=False, unique=True),
    Column("label", Text, nullable=False),
    Column("user_id", Integer),  # its owner; NULL: the project is, for machines
    Column("project_id", Integer),  # the only project it opens; NULL: all of its owner's
    *required(
        role=String(16),  # most that it may do there
        created=Double,
    ),
    Column("expires", Double),
    Column("last_used", Double),
    Column("revoked", Double),
)

sessions = Table(
    "tk_sessions",
    metadata,
    Column("digest", String(64), primary_key=True),
    *required(user_id=Integer, csrf=String(64), created=Double, expires=Double),
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
