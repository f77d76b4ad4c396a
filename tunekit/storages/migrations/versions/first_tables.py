"""The first tables: studies, spaces, trials, reports, events."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create all tables."""
    op.create_table(
        "tk_studies",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("spec", sa.Text, nullable=False),
        sa.Column("attrs", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("n_trials", sa.BigInteger, nullable=False),
        sa.Column("space_version", sa.Integer, nullable=False),
        sa.Column("max_retries", sa.Integer, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "tk_spaces",
        sa.Column("study_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("space", sa.Text, nullable=False),
    )
    op.create_table(
        "tk_reports",
        sa.Column("study_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("step", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("metrics", sa.Text, nullable=False),
    )
    op.create_table(
        "tk_events",
        sa.Column("study_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("number", sa.BigInteger),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("data", sa.Text),
    )
    _create_trials()


def _create_trials() -> None:
    op.create_table(
        "tk_trials",
        sa.Column("study_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("started_epoch", sa.Integer, nullable=False),
        sa.Column("lapses", sa.Integer, nullable=False),
        sa.Column("worker", sa.Text, nullable=False),
        sa.Column("is_partial", sa.Boolean, nullable=False),
        sa.Column("lease_until", sa.Double),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("started", sa.Double),
        sa.Column("finished", sa.Double),
        sa.Column("claim_key", sa.Text),
        sa.Column("tell_key", sa.Text),
        sa.Column("params", sa.Text),
        sa.Column("proposal", sa.Text),
        sa.Column("outcome", sa.Text),
        sa.Column("user_attrs", sa.Text),
    )
    op.create_index("tk_trials_seq", "tk_trials", ["study_id", "seq"], unique=True)
    op.create_index("tk_trials_claim", "tk_trials", ["study_id", "claim_key"])
    for state, last in (("waiting", "number"), ("running", "lease_until")):
        where = sa.text(f"state = '{state}'")
        op.create_index(
            f"tk_trials_{state}",
            "tk_trials",
            ["study_id", "state", last],
            sqlite_where=where,
            postgresql_where=where,
        )


def downgrade() -> None:
    """Drop all tables."""
    for table in ("tk_trials", "tk_events", "tk_reports", "tk_spaces", "tk_studies"):
        op.drop_table(table)
