"""Provides conformance suites and test problems for built-in and third-party components."""
