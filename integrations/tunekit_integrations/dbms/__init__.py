"""Tunes the knobs of real database servers, and never leaves one changed by accident."""
