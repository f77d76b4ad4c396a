"""Executors run trials, here or elsewhere."""
