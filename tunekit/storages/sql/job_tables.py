"""Defines the table of submitted jobs: studies that wait for a runner, or that one runs."""

from __future__ import annotations

from sqlalchemy import Column, Double, Index, Integer, String, Text, text

from tunekit.storages.sql.schema import counted, required

jobs = counted(
    "tk_jobs",
    *required(
        project=Text,
        owner=Text,  # who submitted it
        name=Text,  # of its study
        settings=Text,
        state=String(16),
        weight=Double,
        priority=Integer,
        reason=Text,
        runner=Text,
        epoch=Integer,  # number of claims; names the lease
    ),
    Column("claim_key", Text),
    Column("lease_until", Double),
    Column("created", Double, nullable=False),
    Column("started", Double),
    Column("finished", Double),
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
