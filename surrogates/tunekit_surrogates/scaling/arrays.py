"""The array types that the scaling laws share."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


def as_floats(name: str, values: ArrayLike) -> Floats:
    """Return `values` as a one-dimensional float array.

    Raises:
        ValueError: if they are not numbers, or not one-dimensional.
    """
    try:
        array = np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        raise ValueError(
            f"{name} holds values that are not numbers; give one number for each run."
        ) from None
    if array.ndim != 1:
        raise ValueError(
            f"{name} has {array.ndim} dimensions, and a list of numbers, one for each run, was"
            " expected; flatten it."
        )
    return array
