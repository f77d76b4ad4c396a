"""Proposes points from a fixed table of recorded results, without further trials."""
