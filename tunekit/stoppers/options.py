"""Holds the options that stoppers share: the watched metric and the unit of progress."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import get_args

from tunekit.errors import InvalidArgument
from tunekit.records import Direction, ObjectiveSpec
from tunekit.stoppers.base import CurveView
from tunekit.stoppers.losses import Unit, watched_metric, watched_metrics


@dataclass(eq=False)
class MetricStopper:
    """The options of a stopper that watches metrics.

    A subclass adds its own options as fields, and checks them in `__post_init__`.

    Args:
        metric: metric to watch; by default all objectives.
        direction: direction of a reported metric that is not an objective.

    Raises:
        InvalidArgument: `metric` is not a name, `direction` is invalid, or has no metric.
    """

    name = ""

    metric: str | None = None
    _: KW_ONLY
    direction: Direction | None = None

    def __post_init__(self) -> None:
        metric, direction = self.metric, self.direction
        if metric is not None and (not isinstance(metric, str) or not metric):
            raise InvalidArgument(f"metric={metric!r}, expected the name of a metric or None.")
        if direction is not None and direction not in get_args(Direction):
            raise InvalidArgument(f'direction={direction!r}, expected "minimize" or "maximize".')
        if direction is not None and metric is None:
            raise InvalidArgument(
                f'direction="{direction}" without a metric; give metric=, or remove direction=.'
            )

    def watched(self, view: CurveView) -> tuple[ObjectiveSpec, ...]:
        """Return the watched metric, or all objectives.

        Raises:
            InvalidArgument: the study has no objective of that name, or of another direction.
        """
        return watched_metrics(view, self.metric, self.direction, stopper=self.name)

    def only_watched(self, view: CurveView) -> ObjectiveSpec:
        """Return the watched metric of a stopper that handles one.

        Raises:
            InvalidArgument: as `watched`, or the study has several objectives and none is named.
        """
        return watched_metric(view, self.metric, self.direction, stopper=self.name)


def check_unit(unit: object) -> None:
    """Check the unit of progress.

    Raises:
        InvalidArgument: `unit` is neither "reports" nor "steps".
    """
    if unit not in get_args(Unit):
        raise InvalidArgument(f'unit={unit!r}, expected "reports" or "steps".')
