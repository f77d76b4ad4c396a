"""Writes metrics as JSON, which has no NaN and no infinities."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tunekit.errors import InvalidResult


def number(value: Any, name: str) -> float | dict[str, str]:
    """Return a number as `tunekit.storages.codec` writes it.

    Args:
        value: any kind of number, such as that of NumPy or a tensor with one element.
        name: of the metric, for the error.

    Raises:
        InvalidResult: it is not a number.
    """
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        raise InvalidResult(
            f"metric {name!r} is {repr(value)[:60]}, expected a number; convert it."
        ) from None
    return found if math.isfinite(found) else {"$float": str(found)}


def written(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return metrics by name as JSON values.

    Raises:
        InvalidResult: one is not a number.
    """
    return {str(name): number(value, str(name)) for name, value in metrics.items()}
