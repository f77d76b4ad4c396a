"""Defines the tables that only `tunekit serve` fills, beside those of the studies."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, Index, Integer, String, Table, Text

from tunekit.storages.sql.schema import counted, key_of, metadata, required

notes = counted(
    "tk_notes",
    Column("study_id", Integer, nullable=False),
    Column("number", BigInteger),  # of its trial; none for a note on the study
    *required(author=Text, text=Text, created=Double),
)
Index("tk_notes_study", notes.c.study_id, notes.c.id)

artifacts = Table(
    "tk_artifacts",
    metadata,
    *key_of(study_id=Integer, number=BigInteger, name=String(200)),
    Column("file", String(32), nullable=False, unique=True),  # name of its content
    *required(size=BigInteger, sha256=String(64), media_type=Text, author=Text, created=Double),
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
