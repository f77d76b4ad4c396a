"""Checks of the options that stoppers have in common, at the door."""

from __future__ import annotations

import math
from typing import get_args

from tunekit.errors import InvalidArgument
from tunekit.records import Direction
from tunekit.stoppers.losses import Unit


def check_metric(metric: object, direction: object) -> None:
    """Check the name and the direction of a watched metric.

    Raises:
        InvalidArgument: no text, no direction, or a direction of nothing.
    """
    if metric is not None and (not isinstance(metric, str) or not metric):
        raise InvalidArgument(f"metric={metric!r}, expected the name of a metric or None.")
    if direction is not None and direction not in get_args(Direction):
        raise InvalidArgument(f'direction={direction!r}, expected "minimize" or "maximize".')
    if direction is not None and metric is None:
        raise InvalidArgument(
            f'direction="{direction}" without a metric; give metric=, or leave direction= out.'
        )


def check_whole(name: str, value: object, low: int = 1) -> None:
    """Check a whole number from `low` upwards.

    Raises:
        InvalidArgument: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise InvalidArgument(f"{name}={value!r}, expected a whole number from {low}.")


def check_number(name: str, value: object, low: float, *, is_open: bool = False) -> None:
    """Check a finite number from `low` upwards, or above it where the range is open.

    Raises:
        InvalidArgument: it is none.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and math.isfinite(value) and (value > low if is_open else value >= low):  # type: ignore[operator, arg-type]
        return
    raise InvalidArgument(
        f"{name}={value!r}, expected a finite number {'above' if is_open else 'from'} {low:g}."
    )


def check_unit(unit: object) -> None:
    """Check what progress is counted in.

    Raises:
        InvalidArgument: neither reports nor steps.
    """
    if unit not in get_args(Unit):
        raise InvalidArgument(f'unit={unit!r}, expected "reports" or "steps".')
