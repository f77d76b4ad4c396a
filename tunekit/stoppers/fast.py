"""The fast rule: early, frequent rungs that keep one in `t` trials, with a hedge for climbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunekit.checks import check_number, check_whole
from tunekit.records import CONTINUE, Decision, ObjectiveSpec, TrialState
from tunekit.stoppers.base import CurveView
from tunekit.stoppers.curve_log import ViewFollower
from tunekit.stoppers.losses import (
    Curve,
    LossCurveReader,
    Losses,
    Unit,
    as_metrics,
    shown,
)
from tunekit.stoppers.options import MetricStopper, check_unit
from tunekit.stoppers.reached import Level, Reached
from tunekit.stoppers.rungs import Ladder, Rung, n_before

FACTOR = 1.5
"""Factor between adjacent rungs."""

LEAST = 2
"""Number of the best at a rung that always continue."""
LOOK_AHEAD = 2
"""The hedge follows the slope of a curve to this multiple of its progress."""


@dataclass(eq=False, kw_only=True)
class FastStopper(MetricStopper):
    """Stops earlier and more often than ASHA: about one in `t` trials passes progress `t`.

    Rungs lie at progress 3, 4.5, 6.75, ... (rounded up), starting from `min_resource`. A trial
    continues if fewer than `max(2, n_started / t)` of the trials that reached the rung are
    better. The hedge also lets a trial continue if its slope over the last third of its reports,
    in the logarithm of progress and extrapolated to `2 t`, comes within `hedge` times the noise
    of its curve of the best finished trial. With several objectives a trial is better in a better
    non-domination layer, and the hedge requires that no finished trial dominates the forecast.

    It spends less than ASHA, but loses the best trial more often if that one starts slowly.

    Args:
        metric: metric to watch; by default all objectives.
        direction: direction of a reported metric that is not an objective.
        min_resource: first rung, the grace period; 4 keeps more of the best trials.
        n_exempt: number of first trials of a study that are never stopped.
        hedge: allowance in multiples of a curve's noise; `None` for no hedge.
        unit: unit of progress; see `AshaStopper`.
    """

    name = "fast"

    min_resource: float = 3
    n_exempt: int = 4
    hedge: float | None = 0.0
    unit: Unit = "reports"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self.min_resource, "min_resource", low=1)
        check_whole(self.n_exempt, "n_exempt", low=0)
        if self.hedge is not None:
            check_number(self.hedge, "hedge", low=0.0)
        check_unit(self.unit)
        self._reader = LossCurveReader()
        self._ladder = Ladder(self.min_resource, FACTOR, self._reader, self.unit)
        self._started = Reached(self._reader, "reports")
        self._finals = _Finals(self._reader)

    def decide(self, number: int, view: CurveView) -> Decision:
        """Return the decision on trial `number` after its latest report.

        Raises:
            InvalidArgument: the study has no objective of that name.
        """
        watched = self.watched(view)
        if number < self.n_exempt:
            return CONTINUE
        passed = self._ladder.passed(number, view, watched)
        n_started = len(self._started.at(1, view, watched).losses) if passed else 0
        for rung in passed:
            n_kept = max(LEAST, math.ceil(n_started / rung.level))
            if rung.before >= n_kept:
                break
        else:
            return CONTINUE
        curve = self._reader.read(number, view, watched)
        hoped = None
        if self.hedge is not None:
            hoped = forecast(curve, self.unit, self.hedge)
            if hoped is not None and self._reaches_the_best(hoped, view, watched):
                return CONTINUE
        return self._stop(rung, n_kept, n_started, hoped, watched)

    def _reaches_the_best(
        self, hoped: Losses, view: CurveView, watched: tuple[ObjectiveSpec, ...]
    ) -> bool:
        finals = self._finals.of(view, watched)
        if len(watched) > 1:
            return bool(finals.losses) and n_before(hoped, list(finals.losses.values())) == 0
        return bool(finals.losses) and not (finals.finite and finals.finite[0] < hoped)

    def _stop(
        self,
        rung: Rung,
        n_kept: int,
        n_started: int,
        hoped: Losses | None,
        watched: tuple[ObjectiveSpec, ...],
    ) -> Decision:
        reason = (
            f"{shown(rung.own, watched)} at {self.unit[:-1]} {rung.level} has "
            f"{rung.before} of {rung.n} trials before it; the best {n_kept} continue"
        )
        evidence: dict[str, Any] = {
            "metrics": as_metrics(rung.own, watched),
            "unit": self.unit,
            "rung": rung.level,
            "n_before": rung.before,
            "n_reached": rung.n,
            "n_started": n_started,
            "n_kept": n_kept,
        }
        if hoped is not None:
            reason += f", and its slope followed to {LOOK_AHEAD * rung.level} misses the best"
            evidence["forecast"] = as_metrics(hoped, watched)
        return Decision("stop", reason, evidence)


def forecast(curve: Curve, unit: Unit, hedge: float) -> Losses | None:
    """Return the optimistic forecast of a curve at twice its progress, `None` if it diverged.

    The forecast is a straight line in the logarithm of progress, with the slope of the last
    third of the reports (at least two), starting at the last one, minus `hedge` standard
    deviations of the changes between the last reports.
    """
    n = len(curve.losses)
    progress = range(1, n + 1) if unit == "reports" else curve.steps
    last = slice(max(0, n - max(2, math.ceil(n / 3))), n)
    x = np.log(np.maximum(np.asarray(progress[last], dtype=np.float64), 1.0))
    out = []
    for values in zip(*curve.losses, strict=True):
        y = np.asarray(values, dtype=np.float64)
        if not np.isfinite(y[last]).all():
            return None
        out.append(float(y[-1] + min(0.0, _slope(x, y[last])) * math.log(LOOK_AHEAD)))
        out[-1] -= hedge * _noise(y[-6:])
    return tuple(out)


def _slope(x: np.ndarray, y: Sequence[float] | np.ndarray) -> float:
    """Return the least-squares slope of `(n,)` values over `(n,)` steps, 0 for equal steps."""
    # slope = sum (x - mean x) y / sum (x - mean x)^2
    away = x - x.mean()
    spread = float(away @ away)
    return float(away @ np.asarray(y)) / spread if spread > 0 else 0.0


def _noise(y: np.ndarray) -> float:
    """Return the standard deviation of the steps between `(n,)` finite values."""
    steps = np.diff(y[np.isfinite(y)])
    return float(np.std(steps)) if len(steps) > 1 else 0.0


class _Finals:
    """The last losses of the complete trials; a trial is read again once it has changed."""

    def __init__(self, reader: LossCurveReader) -> None:
        self._reader = reader
        self._follower = ViewFollower()
        self._watched: tuple[ObjectiveSpec, ...] = ()
        self._found = Level()

    def of(self, view: CurveView, watched: tuple[ObjectiveSpec, ...]) -> Level:
        """Return them by number."""
        changed = self._follower.changed(view)
        if changed is None or watched != self._watched:
            self._watched, self._found = watched, Level()
            changed = {t.number for t in view.history.complete()}
        for number in changed:
            trial, losses = view.history.get(number), None
            if trial is not None and trial.state is TrialState.COMPLETE:
                losses = self._reader.read(number, view, watched).losses
            self._found.put(number, losses[-1] if losses else None)
        return self._found
