"""The service has accounts: users, projects with roles, tokens, sessions, invitations."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add their tables, all empty."""
    op.create_table(
        "tk_projects",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("created", sa.Double, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "tk_users",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("password", sa.Text),
        sa.Column("subject", sa.Text, unique=True),
        sa.Column("is_operator", sa.Boolean, nullable=False),
        sa.Column("may_create", sa.Boolean, nullable=False),
        sa.Column("is_active", sa.Boolean, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "tk_members",
        sa.Column("project_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("user_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("role", sa.String(16), nullable=False),
    )
    _create_credentials()


def _create_credentials() -> None:
    op.create_table(
        "tk_tokens",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("digest", sa.String(64), nullable=False, unique=True),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("user_id", sa.Integer),
        sa.Column("project_id", sa.Integer),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("expires", sa.Double),
        sa.Column("last_used", sa.Double),
        sa.Column("revoked", sa.Double),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "tk_sessions",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("user_id", sa.Integer, nullable=False),
        sa.Column("csrf", sa.String(64), nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("expires", sa.Double, nullable=False),
    )
    op.create_table(
        "tk_invitations",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("user_id", sa.Integer),
        sa.Column("expires", sa.Double, nullable=False),
    )
    op.create_index("tk_members_user", "tk_members", ["user_id"])
    op.create_index("tk_tokens_user", "tk_tokens", ["user_id"])
    op.create_index("tk_tokens_project", "tk_tokens", ["project_id"])
    op.create_index("tk_sessions_user", "tk_sessions", ["user_id"])


def downgrade() -> None:
    """Drop them; a service then runs without accounts only."""
    for table in ("invitations", "sessions", "tokens", "members", "users", "projects"):
        op.drop_table(f"tk_{table}")
