"""Populations on the tree: evolution and CMA-ES."""
