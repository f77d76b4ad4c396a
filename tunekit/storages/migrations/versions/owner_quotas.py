"""Quotas of a project may bound the slots of single owners of jobs."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the column with the slots by owner, JSON; NULL bounds nobody."""
    op.add_column("tk_quotas", sa.Column("owners", sa.Text))


def downgrade() -> None:
    """Drop it; nobody is bounded then."""
    op.drop_column("tk_quotas", "owners")
