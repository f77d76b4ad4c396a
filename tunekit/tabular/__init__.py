"""Recorded results: proposals from a fixed table, without a further trial."""
