"""Storages keep studies and trials; the only place that knows SQL."""
