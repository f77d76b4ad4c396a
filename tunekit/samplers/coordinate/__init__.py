"""Coordinate descent: changes one parameter at a time until no such change is better."""
