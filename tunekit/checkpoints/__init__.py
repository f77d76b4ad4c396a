"""Stores checkpoints of trials atomically: each is complete or absent."""
