"""Stores studies in the memory of one process."""
