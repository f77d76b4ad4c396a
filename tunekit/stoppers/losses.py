"""Converts reports to curves of losses of the watched metrics, by step, less is better.

NaN, infinite and absurdly large values (`WORST`) all become the worst loss.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from tunekit.errors import InvalidArgument, did_you_mean
from tunekit.records import Direction, ObjectiveSpec, Report
from tunekit.stoppers.base import CurveView

WORST = 1e30
"""Absolute value from which a value counts as diverged: losses like 1e34 are overflows."""

Unit: TypeAlias = Literal["reports", "steps"]
"""Unit of a trial's progress: its number of reports, or the step of the latest one."""

Losses: TypeAlias = tuple[float, ...]
"""One loss per watched metric; `inf` for the worst."""


@dataclass(slots=True)
class Curve:
    """The losses of one trial by step, without reports that miss a metric."""

    steps: list[int]
    losses: list[Losses]

    def progress(self, unit: Unit) -> int:
        """Return the progress of the trial; 0 before its first report."""
        if not self.steps:
            return 0
        return len(self.steps) if unit == "reports" else self.steps[-1]

    def previous(self, unit: Unit) -> int:
        """Return the progress of the trial before its latest report."""
        if len(self.steps) < 2:
            return 0
        return len(self.steps) - 1 if unit == "reports" else self.steps[-2]

    def at(self, level: int, unit: Unit) -> Losses | None:
        """Return the losses with which the trial reached a level, `None` if it has not."""
        i = self.place(level, unit)
        return self.losses[i] if 0 <= i < len(self.losses) else None

    def place(self, level: int, unit: Unit) -> int:
        """Return the place of the point with which the trial reaches a level."""
        return level - 1 if unit == "reports" else bisect_left(self.steps, level)


@dataclass(slots=True)
class _KnownLosses:
    reports: Sequence[Report]
    watched: tuple[ObjectiveSpec, ...]
    n: int
    curve: Curve


class LossCurveReader:
    """Reads the curves of a view, with a cache for speed."""

    def __init__(self) -> None:
        self._known: dict[int, _KnownLosses] = {}

    def read(self, number: int, view: CurveView, watched: tuple[ObjectiveSpec, ...]) -> Curve:
        """Return the losses of one trial, processing only new reports of a known curve."""
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
            # A repeated step replaces the earlier one; a late one is inserted in order.
            i = bisect_left(curve.steps, report.step)
            if curve.steps[i] == report.step:
                curve.losses[i] = found
            else:
                curve.steps.insert(i, report.step)
                curve.losses.insert(i, found)
        known.n = len(known.reports)


def losses(report: Report, watched: Sequence[ObjectiveSpec]) -> Losses | None:
    """Return the losses of a report, `None` if it misses a metric."""
    out = []
    for objective in watched:
        value = report.metrics.get(objective.metric)
        if value is None:
            return None
        out.append(worst_if_diverged(objective.loss(value)))
    return tuple(out)


def worst_if_diverged(loss: float) -> float:
    """Return the loss, `inf` if its absolute value is NaN or `WORST` and more."""
    return loss if abs(loss) < WORST else math.inf  # also false for NaN


def watched_metric(
    view: CurveView, metric: str | None, direction: Direction | None, *, stopper: str
) -> ObjectiveSpec:
    """Return the only metric that a stopper watches; see `watched_metrics`.

    Raises:
        InvalidArgument: the study has several objectives, and none was named.
    """
    found = watched_metrics(view, metric, direction, stopper=stopper)
    if len(found) > 1:
        raise InvalidArgument(
            f"the {stopper} stopper predicts one metric, but the study has the objectives "
            f"{[o.metric for o in found]}; name one with metric=."
        )
    return found[0]


def watched_metrics(
    view: CurveView, metric: str | None, direction: Direction | None, *, stopper: str
) -> tuple[ObjectiveSpec, ...]:
    """Return the metrics a stopper watches: the named one, or all objectives.

    Args:
        view: names the study's objectives.
        metric: an objective, or any reported metric with a direction.
        direction: direction of a metric that is not an objective.
        stopper: name of the stopper, for errors.

    Raises:
        InvalidArgument: the metric is not an objective and has no direction, or the direction
            contradicts the objective's.
    """
    if metric is None:
        return view.objectives
    known = [o.metric for o in view.objectives]
    if metric in known:
        found = view.objectives[known.index(metric)]
        if direction not in (None, found.direction):
            raise InvalidArgument(
                f'the {stopper} stopper has direction="{direction}" for "{metric}", but the study '
                f"is to {found.direction} it; remove direction=."
            )
        return (found,)
    if direction is None:
        raise InvalidArgument(
            f'the {stopper} stopper watches "{metric}"{did_you_mean(metric, known)}, expected '
            f"one of the study's objectives {known}; name one, or give direction= for a "
            "metric that is only reported."
        )
    return (ObjectiveSpec(metric, direction),)


def shown(values: Losses, watched: Sequence[ObjectiveSpec]) -> str:
    """Return losses as text: the metrics with their original sign."""
    return ", ".join(
        f"{o.metric} {o.loss(v):.6g}" if math.isfinite(v) else f"{o.metric} not finite"
        for o, v in zip(watched, values, strict=True)
    )


def as_metrics(values: Losses, watched: Sequence[ObjectiveSpec]) -> dict[str, float | None]:
    """Return losses as metrics in plain JSON, with `None` for non-finite values."""
    return {
        o.metric: o.loss(v) if math.isfinite(v) else None
        for o, v in zip(watched, values, strict=True)
    }
