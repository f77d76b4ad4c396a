"""One Gaussian process over the whole tree, and what it is used for."""
