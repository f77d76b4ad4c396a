"""Studies in the memory of one process."""
