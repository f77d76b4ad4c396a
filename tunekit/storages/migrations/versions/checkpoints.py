"""Trials have checkpoints and may branch from those of others."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the two columns; older trials have neither."""
    op.add_column("tk_trials", sa.Column("checkpoints", sa.Text))
    op.add_column("tk_trials", sa.Column("branch", sa.Text))


def downgrade() -> None:
    """Drop them; a trial that is run again then starts over. Paused trials wait for a worker."""
    op.execute("UPDATE tk_trials SET state = 'waiting' WHERE state = 'paused'")
    op.drop_column("tk_trials", "branch")
    op.drop_column("tk_trials", "checkpoints")
