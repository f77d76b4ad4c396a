"""Generates deep conditional trees with exactly known optima, one set per seed."""
