"""Requests that carry a key are answered once; their answers are kept for a repetition."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the table of answered requests."""
    op.create_table(
        "tk_requests",
        sa.Column("study_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("answer", sa.Text, nullable=False),
    )


def downgrade() -> None:
    """Drop it; a repeated request is taken for a new one then."""
    op.drop_table("tk_requests")
