"""Compares samplers on problems with several seeds under equal budgets."""
