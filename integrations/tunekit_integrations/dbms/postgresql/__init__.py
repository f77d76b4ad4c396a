"""Tunes PostgreSQL: private clusters of its own, and servers that somebody else runs."""
