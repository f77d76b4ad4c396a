"""Executors run trials, on this machine or elsewhere."""
