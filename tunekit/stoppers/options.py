"""Checks the common options of stoppers at construction."""

from __future__ import annotations

from typing import get_args

from tunekit.errors import InvalidArgument
from tunekit.records import Direction
from tunekit.stoppers.losses import Unit


def check_metric(metric: object, direction: object) -> None:
    """Check the name and the direction of a watched metric.

    Raises:
        InvalidArgument: `metric` is not a name, `direction` is invalid, or has no metric.
    """
    if metric is not None and (not isinstance(metric, str) or not metric):
        raise InvalidArgument(f"metric={metric!r}, expected the name of a metric or None.")
    if direction is not None and direction not in get_args(Direction):
        raise InvalidArgument(f'direction={direction!r}, expected "minimize" or "maximize".')
    if direction is not None and metric is None:
        raise InvalidArgument(
            f'direction="{direction}" without a metric; give metric=, or remove direction=.'
        )


def check_unit(unit: object) -> None:
    """Check the unit of progress.

    Raises:
        InvalidArgument: `unit` is neither "reports" nor "steps".
    """
    if unit not in get_args(Unit):
        raise InvalidArgument(f'unit={unit!r}, expected "reports" or "steps".')
