"""Bayesian optimisation with one Gaussian process over the whole tree-structured space."""
