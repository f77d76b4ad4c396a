"""Random streams of trials, keyed by the study's seed and the trial's number."""

from __future__ import annotations

import numpy as np


def stream(seed: int, number: int) -> np.random.Generator:
    """Return the random generator of one trial, the same in every process and on every day."""
    mask = (1 << 64) - 1
    return np.random.Generator(np.random.Philox(key=np.array([seed & mask, number], np.uint64)))
