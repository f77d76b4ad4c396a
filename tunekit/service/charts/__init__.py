"""Aggregates of a study for charts, computed in a process of their own."""
