"""Publishes the pages of the dashboard: their process, and the way to it."""
