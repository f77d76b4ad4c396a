"""Curves as losses: the metrics that a stopper watches, in order of step, less is better.

Whatever is NaN, infinite or beyond any measurement (`WORST`) is the worst loss there is.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from tunekit.errors import InvalidArgument, did_you_mean
from tunekit.records import Direction, Objective, Report
from tunekit.stoppers.base import CurveView

WORST = 1e30
"""From this size on a value counts as diverged: losses of 1e34 and the like are overflows."""

Unit: TypeAlias = Literal["reports", "steps"]
"""What the progress of a trial is counted in: its reports, or the step of the latest one."""

Losses: TypeAlias = tuple[float, ...]
"""One loss for each watched metric; `inf` where it is the worst."""


@dataclass(slots=True)
class Curve:
    """The losses of one trial in order of step; reports that miss a metric are left out."""

    steps: list[int]
    losses: list[Losses]

    def progress(self, unit: Unit) -> int:
        """Return how far the trial is; 0 before its first report."""
        if not self.steps:
            return 0
        return len(self.steps) if unit == "reports" else self.steps[-1]

    def previous(self, unit: Unit) -> int:
        """Return how far the trial was before its latest report."""
        if len(self.steps) < 2:
            return 0
        return len(self.steps) - 1 if unit == "reports" else self.steps[-2]

    def at(self, level: int, unit: Unit) -> Losses | None:
        """Return the losses with which the trial reached a level, if it has."""
        i = level - 1 if unit == "reports" else bisect_left(self.steps, level)
        return self.losses[i] if 0 <= i < len(self.losses) else None


@dataclass(slots=True)
class _KnownLosses:
    reports: Sequence[Report]
    watched: tuple[Objective, ...]
    n: int
    curve: Curve


class LossCurveReader:
    """Reads the curves of a view; what it keeps of them is only speed."""

    def __init__(self) -> None:
        self._known: dict[int, _KnownLosses] = {}

    def read(self, number: int, view: CurveView, watched: tuple[Objective, ...]) -> Curve:
        """Return the losses of one trial; a curve that has only grown costs what is new."""
        reports = view.reports.get(number, ())
        known = self._known.get(number)
        if known is None or known.reports is not reports or known.watched != watched:
            known = _KnownLosses(reports, watched, 0, Curve([], []))
            self._known[number] = known
        if len(reports) != known.n:
            self._grow(known)
        return known.curve

    def _grow(self, known: _KnownLosses) -> None:
        curve = known.curve
        if len(known.reports) < known.n:
            known.n, curve.steps, curve.losses = 0, [], []
        for report in known.reports[known.n :]:
            found = losses(report, known.watched)
            if found is None:
                continue
            if not curve.steps or report.step > curve.steps[-1]:
                curve.steps.append(report.step)
                curve.losses.append(found)
                continue
            # The same step again replaces; one that comes late takes its place.
            i = bisect_left(curve.steps, report.step)
            if curve.steps[i] == report.step:
                curve.losses[i] = found
            else:
                curve.steps.insert(i, report.step)
                curve.losses.insert(i, found)
        known.n = len(known.reports)


def losses(report: Report, watched: Sequence[Objective]) -> Losses | None:
    """Return the losses of a report, or `None` where it misses one of the metrics."""
    out = []
    for objective in watched:
        value = report.metrics.get(objective.metric)
        if value is None:
            return None
        out.append(worst_if_diverged(objective.loss(value)))
    return tuple(out)


def worst_if_diverged(loss: float) -> float:
    """Return the loss, or `inf` where it is no measurement (of either sign)."""
    return loss if abs(loss) < WORST else math.inf  # also false for NaN


def watched_metrics(
    view: CurveView, metric: str | None, direction: Direction | None, *, stopper: str
) -> tuple[Objective, ...]:
    """Return what a stopper watches: the metric of that name, or all objectives.

    Args:
        view: names the study's objectives.
        metric: an objective, or any reported metric whose direction is given.
        direction: of a metric that is no objective.
        stopper: its name, for the error.

    Raises:
        InvalidArgument: no objective of that name and no direction, or one that contradicts.
    """
    if metric is None:
        return view.objectives
    known = [o.metric for o in view.objectives]
    if metric in known:
        found = view.objectives[known.index(metric)]
        if direction not in (None, found.direction):
            raise InvalidArgument(
                f'the {stopper} stopper was given direction="{direction}" for "{metric}", which '
                f"the study has to {found.direction}; leave direction= out."
            )
        return (found,)
    if direction is None:
        raise InvalidArgument(
            f'the {stopper} stopper watches "{metric}"{did_you_mean(metric, known)}, '
            f"the study's objectives are {known}; name one of them, or give direction= for a "
            "metric that is only reported."
        )
    return (Objective(metric, direction),)


def shown(values: Losses, watched: Sequence[Objective]) -> str:
    """Return losses as a person knows them: the metrics with their own sign."""
    return ", ".join(
        f"{o.metric} {o.loss(v):.6g}" if math.isfinite(v) else f"{o.metric} not finite"
        for o, v in zip(watched, values, strict=True)
    )


def as_metrics(values: Losses, watched: Sequence[Objective]) -> dict[str, float | None]:
    """Return losses as metrics in plain JSON: `None` for what is not finite."""
    return {
        o.metric: o.loss(v) if math.isfinite(v) else None
        for o, v in zip(watched, values, strict=True)
    }
