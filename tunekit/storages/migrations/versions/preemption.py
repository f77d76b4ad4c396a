"""Trials may be pre-empted; the next claims find them without a walk over the study."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the index of the trials that are pre-empted."""
    where = sa.text("state = 'preempted'")
    op.create_index(
        "tk_trials_preempted",
        "tk_trials",
        ["study_id", "state", "number"],
        sqlite_where=where,
        postgresql_where=where,
    )


def downgrade() -> None:
    """Drop it; pre-empted trials wait for a worker as others do."""
    op.execute("UPDATE tk_trials SET state = 'waiting' WHERE state = 'preempted'")
    op.drop_index("tk_trials_preempted", "tk_trials")
