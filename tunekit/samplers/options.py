"""Checks options of samplers at construction."""

from __future__ import annotations

import math

from tunekit.errors import InvalidArgument


def number_from(value: object, name: str, *, low: float = 0.0, high: float = math.inf) -> None:
    """Check that an option is a finite number from `low` to `high`.

    Raises:
        InvalidArgument: `value` is anything else.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        if math.isfinite(value) and low <= value <= high:
            return
    span = f"from {low:g} to {high:g}" if math.isfinite(high) else f"of {low:g} or more"
    raise InvalidArgument(f"{name}={value!r}, expected a finite number {span}.")


def whole_from(value: object, name: str, *, low: int = 0) -> None:
    """Check that an option is a whole number of `low` or more.

    Raises:
        InvalidArgument: `value` is anything else.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise InvalidArgument(f"{name}={value!r}, expected a whole number of {low} or more.")
