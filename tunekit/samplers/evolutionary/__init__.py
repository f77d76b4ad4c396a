"""Population-based samplers on the tree: evolution and CMA-ES."""
