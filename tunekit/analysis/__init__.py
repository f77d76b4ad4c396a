"""Analyses of studies: the stopping audit and parameter importance."""
