"""Bridges between tunekit and other tools; each module needs its own extra."""
