"""The audit log, quotas of projects, and links that show one study."""

import sqlalchemy as sa
from alembic import op

from tunekit.storages.sql.oversight_tables import APPEND_ONLY
from tunekit.storages.sql.schema import clock

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "tk_audit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("at", sa.Double, nullable=False, server_default=clock()),
        sa.Column("principal", sa.Text, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("study_id", sa.Integer),
        sa.Column("data", sa.Text, nullable=False),
        sa.Column("request_id", sa.String(64), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("tk_audit_project", "tk_audit", ["project", "id"])
    for statement in APPEND_ONLY[op.get_bind().dialect.name]:
        op.execute(sa.text(statement))
    op.create_table(
        "tk_quotas",
        sa.Column("project", sa.Text, primary_key=True),
        sa.Column("running", sa.Integer),
        sa.Column("gpus", sa.Double),
        sa.Column("stored_bytes", sa.BigInteger),
    )
    op.create_table(
        "tk_share_links",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("digest", sa.String(64), nullable=False, unique=True),
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("study_id", sa.Integer, nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("expires", sa.Double, nullable=False),
        sa.Column("revoked", sa.Double),
        sqlite_autoincrement=True,
    )
    op.create_index("tk_share_links_study", "tk_share_links", ["study_id"])


def downgrade() -> None:
    """Drop them with their content."""
    for table in ("tk_share_links", "tk_quotas", "tk_audit"):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION tk_audit_kept()")
