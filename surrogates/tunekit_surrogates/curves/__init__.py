"""Predicts the distribution of a run's final value from its first reports."""
