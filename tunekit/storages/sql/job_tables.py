"""Defines the table of submitted jobs: studies that wait for a runner, or that one runs."""

from __future__ import annotations

from sqlalchemy import Column, Double, Index, Integer, String, Table, Text, text

from tunekit.storages.sql.schema import metadata

jobs = Table(
    "tk_jobs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project", Text, nullable=False),
    Column("owner", Text, nullable=False),  # who submitted it
    Column("name", Text, nullable=False),  # of its study
    Column("settings", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("weight", Double, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("runner", Text, nullable=False),
    Column("epoch", Integer, nullable=False),  # number of claims; names the lease
    Column("claim_key", Text),
    Column("lease_until", Double),
    Column("created", Double, nullable=False),
    Column("started", Double),
    Column("finished", Double),
    sqlite_autoincrement=True,
)
Index("tk_jobs_claim", jobs.c.project, jobs.c.state, jobs.c.priority)
# Two jobs that run one study would share its trials without knowing of each other.
Index(
    "tk_jobs_open",
    jobs.c.project,
    jobs.c.name,
    unique=True,
    sqlite_where=text("finished IS NULL"),
    postgresql_where=text("finished IS NULL"),
)
