"""Defines the tables that only `tunekit serve` fills, beside those of the studies."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, Index, Integer, String, Table, Text

from tunekit.storages.sql.schema import metadata

notes = Table(
    "tk_notes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study_id", Integer, nullable=False),
    Column("number", BigInteger),  # of its trial; none for a note on the study
    Column("author", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("created", Double, nullable=False),
    sqlite_autoincrement=True,  # a deleted note's id never names another one
)
Index("tk_notes_study", notes.c.study_id, notes.c.id)

artifacts = Table(
    "tk_artifacts",
    metadata,
    Column("study_id", Integer, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("name", String(200), primary_key=True),
    Column("file", String(32), nullable=False, unique=True),  # name of its content
    Column("size", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("media_type", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("created", Double, nullable=False),
)

idempotency = Table(
    "tk_idempotency",
    metadata,
    Column("owner", String(64), primary_key=True),  # digest of the project and the user
    Column("key", Text, primary_key=True),
    Column("fingerprint", String(64), nullable=False),  # digest of the request
    Column("answer", Text),
    Column("created", Double, nullable=False),
)
Index("tk_idempotency_created", idempotency.c.created)
