"""Defines the tables of the audit log, the quotas of projects, and share links.

A row of the audit log is written once: triggers refuse to change or delete one. Whoever may alter
tables can drop the triggers, to delete what is older than it has to be kept. Projects appear by
name, so that the log of a deleted project or study stays readable.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Index,
    Integer,
    String,
    Table,
    Text,
    event,
    text,
)

from tunekit.storages.sql.schema import clock, counted, metadata, required

audit = Table(
    "tk_audit",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("at", Double, nullable=False, server_default=clock()),
    *required(
        principal=Text,
        address=Text,
        action=String(64),
        project=Text,  # empty outside of projects
    ),
    Column("study_id", Integer),
    *required(data=Text, request_id=String(64)),
    sqlite_autoincrement=True,
)
Index("tk_audit_project", audit.c.project, audit.c.id)

APPEND_ONLY = {
    "sqlite": tuple(
        f"CREATE TRIGGER tk_audit_no_{change.lower()} BEFORE {change} ON tk_audit "
        "BEGIN SELECT RAISE(ABORT, 'tk_audit is append-only'); END"
        for change in ("UPDATE", "DELETE")
    ),
    "postgresql": (
        "CREATE OR REPLACE FUNCTION tk_audit_kept() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'tk_audit is append-only'; END $$",
        "CREATE TRIGGER tk_audit_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON tk_audit "
        "FOR EACH STATEMENT EXECUTE FUNCTION tk_audit_kept()",
    ),
}
"""Statements that make the log append-only, by dialect."""


@event.listens_for(audit, "after_create")
def _keep(target: Table, connection: Any, **_: Any) -> None:
    for statement in APPEND_ONLY[connection.dialect.name]:
        connection.execute(text(statement))


quotas = Table(
    "tk_quotas",
    metadata,
    Column("project", Text, primary_key=True),
    Column("running", Integer),  # NULL: no limit, here and below
    Column("gpus", Double),
    Column("stored_bytes", BigInteger),
    Column("owners", Text),  # JSON: slots by owner
)

share_links = counted(
    "tk_share_links",
    Column("digest", String(64), nullable=False, unique=True),
    *required(
        project=Text, study_id=Integer, label=Text, author=Text, created=Double, expires=Double
    ),
    Column("revoked", Double),
)
Index("tk_share_links_study", share_links.c.study_id)
