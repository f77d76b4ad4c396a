"""Threshold: stops a trial whose metric is not finite or beyond a bound."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tunekit.checks import check_whole, is_number
from tunekit.errors import InvalidArgument
from tunekit.records import CONTINUE, Decision, ObjectiveSpec
from tunekit.stoppers.base import CurveView
from tunekit.stoppers.losses import WORST, LossCurveReader, losses
from tunekit.stoppers.options import MetricStopper


@dataclass(eq=False, kw_only=True)
class ThresholdStopper(MetricStopper):
    """Stops a trial that reports NaN, an infinity, an overflow, or a value beyond a bound.

    Args:
        metric: metric to watch; by default all objectives.
        direction: direction of a reported metric that is not an objective.
        bound: value beyond which to stop (above it when minimising); requires one objective, or
            `metric`. By default only diverged trials are stopped.
        min_reports: number of reports before the bound applies. Diverged trials are always
            stopped at once.
    """

    name = "threshold"

    bound: float | None = None
    min_reports: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        bound = self.bound
        if bound is not None and not (is_number(bound) and math.isfinite(bound)):
            raise InvalidArgument(f"bound={bound!r}, expected a finite number or None.")
        check_whole(self.min_reports, "min_reports", low=1)
        self._reader = LossCurveReader()

    def decide(self, number: int, view: CurveView) -> Decision:
        """Return the decision on trial `number` after its latest report.

        Raises:
            InvalidArgument: the study has no objective of that name, or several and a bound
                for none of them.
        """
        watched = self.watched(view)
        if self.bound is not None and len(watched) > 1:
            raise InvalidArgument(
                f"the threshold stopper has bound={self.bound:g} but watches several metrics "
                f"{[o.metric for o in watched]}; name one of them with metric=."
            )
        reports = view.reports.get(number, ())
        if not reports:
            return CONTINUE
        for objective in watched:
            found = losses(reports[-1], [objective])
            if found is not None and math.isinf(found[0]):
                value = reports[-1].metrics[objective.metric]
                return _diverged(objective, value, reports[-1].step)
        if self.bound is None or watched[0].metric not in reports[-1].metrics:
            return CONTINUE
        curve = self._reader.read(number, view, watched)
        value, step = reports[-1].metrics[watched[0].metric], reports[-1].step
        is_worse = watched[0].loss(value) > watched[0].loss(self.bound)
        if not is_worse or len(curve.steps) < self.min_reports:
            return CONTINUE
        beyond = "above" if watched[0].direction == "minimize" else "below"
        name = watched[0].metric
        reason = f"{name} is {value:.6g} at step {step}, {beyond} the bound {self.bound:g}"
        evidence = {"metric": name, "step": step, "value": value, "bound": self.bound}
        return Decision("stop", reason, evidence)


def _diverged(objective: ObjectiveSpec, value: float, step: int) -> Decision:
    reason = f"{objective.metric} is {value:.6g} at step {step}: the trial has diverged"
    evidence = {
        "metric": objective.metric,
        "step": step,
        "value": value if math.isfinite(value) else None,
        "worst_from": WORST,
    }
    return Decision("stop", reason, evidence)
