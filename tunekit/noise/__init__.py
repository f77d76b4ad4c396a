"""Repeated measurements of one configuration."""
