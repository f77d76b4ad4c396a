"""Samplers propose params: pure functions of what is known."""
