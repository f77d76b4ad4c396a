"""Checkpoints of trials: complete or not there, wherever they are kept."""
