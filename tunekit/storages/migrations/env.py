"""Runs migrations in the transaction of the caller, which holds the schema lock."""

from alembic import context

from tunekit.storages.sql.schema import metadata, revision

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=revision.name,
    render_as_batch=True,  # SQLite alters a table only by copying it
    transactional_ddl=False,  # the caller commits
)
context.run_migrations()
