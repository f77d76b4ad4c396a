"""Checks of the options of samplers, at construction."""

from __future__ import annotations

import math

from tunekit.errors import InvalidArgument


def number_from(value: object, name: str, *, low: float = 0.0, high: float = math.inf) -> None:
    """Check that an option is a finite number from `low` to `high`.

    Raises:
        InvalidArgument: it is none.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        if math.isfinite(value) and low <= value <= high:
            return
    top = f" to {high:g}" if math.isfinite(high) else ""
    raise InvalidArgument(f"{name}={value!r}, expected a number from {low:g}{top}.")


def whole_from(value: object, name: str, *, low: int = 0) -> None:
    """Check that an option is a whole number of `low` or more.

    Raises:
        InvalidArgument: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise InvalidArgument(f"{name}={value!r}, expected a whole number of {low} or more.")
