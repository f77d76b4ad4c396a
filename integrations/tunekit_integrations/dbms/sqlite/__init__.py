"""Tunes the PRAGMAs of a SQLite file: the demo that needs no server."""
