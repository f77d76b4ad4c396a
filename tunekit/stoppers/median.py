"""The median rule: stop a trial whose best so far is worse than what half the others had then."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import median
from typing import Literal, TypeAlias

from tunekit.errors import InvalidArgument, did_you_mean
from tunekit.stoppers.base import CONTINUE, CurveView, Decision
from tunekit.trial import Objective, Report

Summary: TypeAlias = Literal["running_mean", "at_step"]


@dataclass(frozen=True, slots=True)
class _Curve:
    """A complete trial, summed up: what its value is from each of its steps on."""

    reports: Sequence[Report]
    objective: Objective
    steps: list[int]
    values: list[float]

    @classmethod
    def of(cls, reports: Sequence[Report], objective: Objective, summary: Summary) -> _Curve:
        losses = _losses(reports, objective)
        values = [loss for _, loss in losses]
        if summary == "running_mean":
            values = [total / n for n, total in enumerate(accumulate(values), start=1)]
        return cls(reports, objective, [step for step, _ in losses], values)


class MedianStopper:
    """Stops a trial whose best value up to a step is worse than the median of the others.

    The others are the trials that are complete and have reported by that step. With
    `others="at_step"` each counts with the value of its latest report up to the step, as in
    Optuna's `MedianPruner`; with `"running_mean"`, the default, with the mean of its reports up
    to the step, as in Vizier, which noise moves less. A step at which the trial has only
    reported NaN or infinities counts as worse than any number.

    It is cheap and has one number to tune, but it stops late bloomers: a slow schedule looks
    bad early. Give it a grace period (`min_reports`) of a third of a run or so.

    Args:
        metric: an objective of the study; `None` for its first.
        min_reports: reports that a trial may make before it is judged.
        min_trials: complete trials needed before anything is stopped.
        others: how the curves of the others are summed up.

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
        min_reports: int = 4,
        min_trials: int = 5,
        others: Summary = "running_mean",
    ) -> None:
        for word, value in (("min_reports", min_reports), ("min_trials", min_trials)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InvalidArgument(f"{word}={value!r}, expected a whole number from 1.")
        if others not in ("running_mean", "at_step"):
            raise InvalidArgument(f'others={others!r}, expected "running_mean" or "at_step".')
        self.metric = metric
        self.min_reports = min_reports
        self.min_trials = min_trials
        self.others = others
        self._curves: dict[int, _Curve] = {}

    def decide(self, number: int, view: CurveView) -> Decision:
        """Return what becomes of trial `number` after its latest report.

        Raises:
            InvalidArgument: the study has no objective of that name.
        """
        objective = self._objective(view)
        own = _losses(view.reports.get(number, ()), objective)
        if len(own) < self.min_reports:
            return CONTINUE
        step = own[-1][0]
        numbers = (t.number for t in view.history.complete() if t.number != number)
        values = (self._value(n, view.reports.get(n, ()), objective, step) for n in numbers)
        compared = [v for v in values if v is not None]
        if len(compared) < self.min_trials:
            return CONTINUE
        best, threshold = min(loss for _, loss in own), median(compared)
        if not best > threshold:
            return CONTINUE
        return self._stop(objective, step, best, threshold, len(compared))

    def _objective(self, view: CurveView) -> Objective:
        if self.metric is None:
            return view.objectives[0]
        for objective in view.objectives:
            if objective.metric == self.metric:
                return objective
        known = [o.metric for o in view.objectives]
        raise InvalidArgument(
            f'the median stopper watches "{self.metric}"{did_you_mean(self.metric, known)}, '
            f"the study's objectives are {known}; name one of them."
        )

    def _value(
        self, number: int, reports: Sequence[Report], objective: Objective, step: int
    ) -> float | None:
        known = self._curves.get(number)
        # The curve of a complete trial does not change: summing it up once is only speed.
        if known is None or known.reports is not reports or known.objective != objective:
            known = self._curves[number] = _Curve.of(reports, objective, self.others)
        i = bisect_right(known.steps, step)
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


def _losses(reports: Sequence[Report], objective: Objective) -> list[tuple[int, float]]:
    """Return (step, loss) where the metric was reported; less is better, not finite is worst."""
    out = []
    for report in reports:
        if objective.metric in report.metrics:
            loss = objective.loss(report.metrics[objective.metric])
            out.append((report.step, loss if math.isfinite(loss) else math.inf))
    return out
