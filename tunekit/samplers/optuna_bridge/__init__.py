"""Runs Optuna's samplers on the tree."""
