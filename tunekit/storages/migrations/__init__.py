"""Alembic's environment for the schema; `tunekit.storages.revision` runs it."""
