"""Stoppers that learn from whole learning curves."""
