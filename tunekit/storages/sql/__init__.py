"""Stores studies in SQLite or PostgreSQL."""
