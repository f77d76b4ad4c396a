"""Renders figures as charts of a page: pure functions, data in, chart option out."""
