"""Tree search over the discrete structure of a space: ours, and DeepArchitect's original."""
