"""The median rule: stops a trial whose best value is worse than the median of the others."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from statistics import median
from typing import Literal, TypeAlias

from tunekit.checks import check_whole
from tunekit.errors import InvalidArgument
from tunekit.records import CONTINUE, Decision, Direction, Objective
from tunekit.stoppers.base import CurveView
from tunekit.stoppers.losses import Curve, LossCurveReader, watched_metrics
from tunekit.stoppers.options import check_metric

Summary: TypeAlias = Literal["running_mean", "at_step"]


@dataclass(slots=True)
class _Summary:
    """A curve and its summary value from each of its steps on."""

    curve: Curve
    n: int
    values: list[float]


class MedianStopper:
    """Stops a trial whose best value up to a step is worse than the median of the others.

    The others are the complete trials that had reported by that step. With `others="at_step"`
    each counts with its latest report up to the step, as in Optuna's `MedianPruner`. With the
    default `"running_mean"` it counts with the mean of its reports up to the step, as in Vizier,
    which is less sensitive to noise. A trial with only NaN or infinite reports counts as worse
    than any number.

    The rule is cheap and has one number to tune, but it stops late bloomers, because a slow
    schedule looks bad early. Set a grace period (`min_reports`) of about a third of a run.

    Args:
        metric: metric to watch; by default the first objective.
        direction: direction of a reported metric that is not an objective.
        min_reports: number of reports before a trial is judged.
        min_trials: minimum number of complete trials to stop any.
        others: summary of the other trials' curves.

    Reference:
        D. Golovin et al., 2017, "Google Vizier: A Service for Black-Box Optimization",
        section 3.1.1: "stops a pending trial x_t at step s if the trial's best objective value
        by step s is strictly worse than the median value of the running averages of all
        completed trials' objectives reported up to step s".
    """

    name = "median"

    def __init__(
        self,
        metric: str | None = None,
        *,
        direction: Direction | None = None,
        min_reports: int = 4,
        min_trials: int = 5,
        others: Summary = "running_mean",
    ) -> None:
        check_metric(metric, direction)
        check_whole(min_reports, "min_reports", low=1)
        check_whole(min_trials, "min_trials", low=1)
        if others not in ("running_mean", "at_step"):
            raise InvalidArgument(f'others={others!r}, expected "running_mean" or "at_step".')
        self.metric = metric
        self.direction = direction
        self.min_reports = min_reports
        self.min_trials = min_trials
        self.others = others
        self._reader = LossCurveReader()
        self._summaries: dict[int, _Summary] = {}

    def decide(self, number: int, view: CurveView) -> Decision:
        """Return the decision on trial `number` after its latest report.

        Raises:
            InvalidArgument: the study has no objective of that name.
        """
        objective = watched_metrics(view, self.metric, self.direction, stopper=self.name)[0]
        own = self._reader.read(number, view, (objective,))
        if len(own.steps) < self.min_reports:
            return CONTINUE
        step = own.steps[-1]
        numbers = (t.number for t in view.history.complete() if t.number != number)
        values = (self._value(n, view, objective, step) for n in numbers)
        compared = [v for v in values if v is not None]
        if len(compared) < self.min_trials:
            return CONTINUE
        best, threshold = min(loss for (loss,) in own.losses), median(compared)
        if not best > threshold:
            return CONTINUE
        return self._stop(objective, step, best, threshold, len(compared))

    def _value(
        self, number: int, view: CurveView, objective: Objective, step: int
    ) -> float | None:
        curve = self._reader.read(number, view, (objective,))
        known = self._summaries.get(number)
        # The curve of a complete trial does not change, so its summary is cached.
        if known is None or known.curve is not curve or known.n != len(curve.steps):
            values = [loss for (loss,) in curve.losses]
            if self.others == "running_mean":
                values = [total / n for n, total in enumerate(accumulate(values), start=1)]
            known = self._summaries[number] = _Summary(curve, len(values), values)
        i = bisect_right(curve.steps, step)
        return known.values[i - 1] if i else None

    def _stop(
        self, objective: Objective, step: int, best: float, threshold: float, n: int
    ) -> Decision:
        sign = 1.0 if objective.direction == "minimize" else -1.0
        shown = f"{sign * best:.6g}" if math.isfinite(best) else "not finite"
        reason = (
            f"best {objective.metric} up to step {step} is {shown}, worse than the median "
            f"{sign * threshold:.6g} of {n} complete trials"
        )
        evidence = {
            "metric": objective.metric,
            "step": step,
            "best": sign * best if math.isfinite(best) else None,
            "median": sign * threshold if math.isfinite(threshold) else None,
            "n_trials": n,
            "others": self.others,
        }
        return Decision("stop", reason, evidence)
