"""Runs several studies over one pool of slots."""
