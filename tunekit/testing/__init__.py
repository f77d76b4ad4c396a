"""Conformance suites and known functions, for our own parts and those of others."""
