"""Builds figures of a study: neutral records that a page, a notebook and a report each draw."""
