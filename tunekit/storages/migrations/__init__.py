"""Alembic's environment for the schema; `tunekit.storages.sql.revision` runs it."""
