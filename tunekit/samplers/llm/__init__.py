"""Proposals of a language model: bounded, checked, paid for, and never in the way."""
