"""The second look: frequent rungs, whose early verdicts wait for one more report."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from tunekit.checks import check_number, check_whole
from tunekit.records import CONTINUE, Decision, ObjectiveSpec
from tunekit.stoppers.base import CurveView
from tunekit.stoppers.losses import (
    Curve,
    LossCurveReader,
    Losses,
    Unit,
    as_metrics,
    losses,
    shown,
)
from tunekit.stoppers.options import MetricStopper, check_unit
from tunekit.stoppers.reached import Reached
from tunekit.stoppers.rungs import Ladder, RungStanding

FACTOR = 1.5
"""Factor between adjacent rungs."""

LEAST = 2
"""Number of the best at a rung that always continue."""

SMOOTHED = 2
"""Reports of which the best counts at a rung, so that a spike costs no trial."""

LINE = 3
"""A line is laid through the last `1 / LINE` of a curve."""


@dataclass(eq=False, kw_only=True)
class SecondLookStopper(MetricStopper):
    """Stops a trial that falls behind at a rung; at low rungs only after a second look.

    Rungs lie at progress 3, 4.5, 6.75, ... (rounded up), from `min_resource`. Of `n` trials that
    have started and have not diverged, those continue that have fewer than `max(2, share n / t)`
    better ones at rung `t`; the better of a trial's last two reports is compared. Beyond
    `second_until` the others end there. Up to it they get one more report, as most curves are
    still on their first plateau and their ranks are noise: a trial that is behind even then
    continues if the line through the last third of its reports, over the logarithm of progress
    and followed to the longest progress of the study, is among the best `second_share n / t`.

    A trial whose metric is not finite ends at once and counts nowhere.

    With several objectives a trial or a line is better in a better non-domination layer.

    Args:
        metric: metric to watch; by default all objectives.
        direction: direction of a reported metric that is not an objective.
        share: of `n / t`, which continues without a second look; less is faster and riskier.
        second_share: of `n / t`, which continues by its line.
        second_until: progress up to which there is a second look; 0 for none.
        min_resource: first rung, the grace period.
        n_exempt: number of first trials of a study that only divergence ends.
        unit: unit of progress; see `AshaStopper`.
    """

    name = "second_look"

    share: float = 1.0
    second_share: float = 0.5
    second_until: float = 16
    min_resource: float = 3
    n_exempt: int = 2
    unit: Unit = "reports"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self.share, "share", low=0.0, is_open=True)
        check_number(self.second_share, "second_share", low=0.0)
        check_number(self.second_until, "second_until", low=0.0)
        check_number(self.min_resource, "min_resource", low=1)
        check_whole(self.n_exempt, "n_exempt", low=0)
        check_unit(self.unit)
        self._reader = LossCurveReader()
        self._ladder = Ladder(
            self.min_resource, FACTOR, self._reader, self.unit, value=self._smoothed
        )
        self._latest = Reached(self._reader, "reports", value=lambda curve, _: _last(curve))
        self._lines = Reached(self._reader, self.unit, value=self._line)
        self._horizon = 0

    def decide(self, number: int, view: CurveView) -> Decision:
        """Return the decision on trial `number` after its latest report.

        Raises:
            InvalidArgument: the study has no objective of that name.
        """
        watched = self.watched(view)
        reports = view.reports.get(number, ())
        if not reports or losses(reports[-1], watched) is None:
            return CONTINUE
        curve = self._reader.read(number, view, watched)
        if not all(map(math.isfinite, curve.losses[-1])):
            return self._diverged(curve, watched)
        if number < self.n_exempt:
            return CONTINUE
        passed = self._ladder.latest(curve)
        before = self._ladder.latest(Curve(curve.steps[:-1], curve.losses[:-1]))
        due = [r for r in before if r <= self.second_until]
        due += [r for r in passed if r > self.second_until]
        for level in due:
            decision = self._judged(number, level, view, watched)
            if decision is not CONTINUE:
                return decision
        return CONTINUE

    def n_started(self, view: CurveView, watched: tuple[ObjectiveSpec, ...]) -> int:
        """Return how many trials have reported and not diverged."""
        return len(self._latest.at(0, view, watched).finite)

    def _judged(
        self, number: int, level: int, view: CurveView, watched: tuple[ObjectiveSpec, ...]
    ) -> Decision:
        """Return the verdict at one rung."""
        rung = self._ladder.standing(number, level, view, watched)
        n = self.n_started(view, watched)
        n_kept = max(LEAST, math.ceil(self.share * n / level))
        if rung is None or rung.before < n_kept:
            return CONTINUE
        line = None
        n_lines = max(1, math.ceil(self.second_share * n / level))
        if level <= self.second_until:
            line = self._standing_of_line(number, level, view, watched)
            if line is not None and line.before < n_lines and not line.has_diverged:
                return CONTINUE
        return self._stop(rung, n_kept, line, n_lines, n, watched)

    def _standing_of_line(
        self, number: int, level: int, view: CurveView, watched: tuple[ObjectiveSpec, ...]
    ) -> RungStanding | None:
        """Return the standing of a trial's line at the horizon, one report after a rung."""
        horizon = max(_progress(view, n, self.unit) for n in view.reports)
        if horizon != self._horizon:
            self._horizon = horizon
            self._lines.forget()
        reached = self._lines.at(level, view, watched)
        own = reached.losses.get(number)
        return None if own is None else RungStanding.of(level, own, reached.others(number))

    def _smoothed(self, curve: Curve, level: int) -> Losses | None:
        """Return the best losses of the last reports up to a rung."""
        i = curve.place(level, self.unit)
        if i >= len(curve.losses):
            return None
        return tuple(map(min, zip(*curve.losses[max(0, i - SMOOTHED + 1) : i + 1], strict=True)))

    def _line(self, curve: Curve, level: int) -> Losses | None:
        """Return the losses at the horizon on a line, as of one report after a rung."""
        i = curve.place(level, self.unit) + 1
        if i >= len(curve.steps):
            return None
        places = range(i + 1 - max(2, math.ceil((i + 1) / LINE)), i + 1)
        progress = [float(k + 1 if self.unit == "reports" else curve.steps[k]) for k in places]
        return tuple(
            _followed(progress, [curve.losses[k][j] for k in places], float(self._horizon))
            for j in range(len(curve.losses[i]))
        )

    def _diverged(self, curve: Curve, watched: tuple[ObjectiveSpec, ...]) -> Decision:
        own, progress = curve.losses[-1], curve.progress(self.unit)
        reason = f"{shown(own, watched)} at {self.unit[:-1]} {progress}: it has diverged"
        metrics = as_metrics(own, watched)
        return Decision("stop", reason, {"metrics": metrics, "unit": self.unit, "rung": progress})

    def _stop(
        self,
        rung: RungStanding,
        n_kept: int,
        line: RungStanding | None,
        n_lines: int,
        n: int,
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
            "n_started": n,
            "n_kept": n_kept,
        }
        if line is not None:
            reason += (
                f", and so do the best {n_lines} by a line to {self.unit[:-1]} {self._horizon}, "
                f"where {line.before} are before it"
            )
            evidence |= {
                "forecast": as_metrics(line.own, watched),
                "horizon": self._horizon,
                "n_before_line": line.before,
                "n_kept_line": n_lines,
            }
        return Decision("stop", reason, evidence)


def _last(curve: Curve) -> Losses | None:
    return curve.losses[-1] if curve.losses else None


def _progress(view: CurveView, number: int, unit: Unit) -> int:
    reports = view.reports[number]
    return len(reports) if unit == "reports" or not reports else reports[-1].step


def _followed(progress: list[float], values: list[float], horizon: float) -> float:
    """Return the loss at the horizon on the least-squares line over log progress.

    The line starts at the last loss and never climbs: a loss that rises for some reports is more
    often noise than a trend.
    """
    if not all(map(math.isfinite, values)):
        return math.inf
    # slope = sum (x - mean x) y / sum (x - mean x)^2, with x = log progress
    x = [math.log(max(p, 1.0)) for p in progress]
    middle = sum(x) / len(x)
    spread = sum((v - middle) ** 2 for v in x)
    slope = sum((v - middle) * y for v, y in zip(x, values, strict=True)) / spread if spread else 0
    return values[-1] + min(0.0, slope) * max(0.0, math.log(max(horizon, 1.0)) - x[-1])
