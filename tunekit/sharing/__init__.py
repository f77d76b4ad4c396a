"""Several studies over one pool of slots."""
