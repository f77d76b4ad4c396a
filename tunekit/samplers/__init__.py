"""Samplers propose params as pure functions of a study's history."""
