"""Percentiles of latencies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

PERCENTILES = (50, 95, 99)
"""Those that are measured and reported."""


def percentiles(latencies_s: Sequence[float]) -> dict[int, float]:
    """Return percentile -> seconds; {} without latencies."""
    if not latencies_s:
        return {}
    values = np.percentile(np.asarray(latencies_s), PERCENTILES)
    return {p: float(v) for p, v in zip(PERCENTILES, values, strict=True)}
