"""Early dynamics: learns within the study what signals of the first steps mean."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunekit.checks import check_number, check_whole
from tunekit.errors import InvalidArgument
from tunekit.records import CONTINUE, Decision, Direction, ObjectiveSpec, Report, TrialRecord
from tunekit.stoppers.base import CurveView
from tunekit.stoppers.curves.complete import ended_by_themselves, final_loss
from tunekit.stoppers.losses import WORST, LossCurveReader
from tunekit.stoppers.options import MetricStopper

RIDGE = 1.0
"""Shrinkage of each standardised feature's effect to 0, counted in rows."""

REACH = 3.0
"""Features and final values are clipped at this many standard deviations."""

CONFIDENCE_Z = 1.645
"""Normal quantile of the one-sided 95 % lower bound of the rank correlation."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Learnt:
    """A ridge regression from early signals to ranks of final losses, with its credibility.

    Attributes:
        centre, spread: `(k,)` values that standardise the features.
        slopes: `(k,)` slopes of the standardised features; `middle` is the mean final rank.
        residual: standard deviation of the leave-one-out errors.
        correlation, bound: Kendall's rank correlation of leave-one-out predictions with the
            truth, and its lower bound.
        n: number of training trials.
    """

    centre: Floats
    spread: Floats
    slopes: Floats
    middle: float
    residual: float
    correlation: float
    bound: float
    n: int

    @classmethod
    def fit(cls, features: Floats, finals: Floats) -> Learnt:
        """Return the regression on `(n, k)` features to the ranks of `(n,)` final losses."""
        from scipy.stats import kendalltau, rankdata  # loaded when first needed

        n = len(finals)
        y = (rankdata(finals) - 0.5) / n
        centre = np.median(features, axis=0)
        # A robust spread: one exploded trial would make all others look alike.
        middle = np.subtract(*np.quantile(features, [0.8, 0.2], axis=0)) / 1.68
        spread = np.where(middle > 0.0, middle, features.std(axis=0)) + 1e-12
        z = np.clip((features - centre) / spread, -REACH, REACH)
        z = np.column_stack([np.ones(n), z])
        pull = np.diag([0.0, *np.full(features.shape[1], RIDGE)])
        inverse = np.linalg.inv(z.T @ z + pull)
        weights = inverse @ z.T @ y
        leverage = np.einsum("ij,jk,ik->i", z, inverse, z)
        # Leave-one-out predictions in closed form (PRESS).
        unseen = y - (y - z @ weights) / np.maximum(1.0 - leverage, 1e-6)
        tau = float(kendalltau(unseen, y).statistic)
        tau = tau if math.isfinite(tau) else 0.0
        # The variance of Kendall's tau without correlation: 2 (2n + 5) / (9 n (n - 1)).
        bound = tau - CONFIDENCE_Z * math.sqrt(2.0 * (2 * n + 5) / (9.0 * n * (n - 1)))
        residual = float(np.sqrt(((unseen - y) ** 2).mean()))
        return cls(centre, spread, weights[1:], float(weights[0]), residual, tau, bound, n)

    def predict(self, features: Floats) -> float:
        """Return the predicted rank of `(k,)` features, about 0 (best) to 1."""
        z = np.clip((features - self.centre) / self.spread, -REACH, REACH)
        return float(self.middle + z @ self.slopes)


class EarlyDynamicsStopper(MetricStopper):
    """Stops trials whose early signals predict a poor result, once the signals are credible.

    The features of each signal are its exponential moving average over the first `share` of a
    run, and the change of that average. A small ridge regression maps them to the rank of the
    final loss; it is fitted to this study's trials that ended by themselves. It makes no
    prediction until there are `min_trials` of these and the 95 % lower bound of its rank
    correlation on held-out trials is above 0. The sign of a signal is learnt: a *higher* early
    loss may promise a better result.

    A trial is judged once, at its first report at or beyond `share` of the median length of the
    complete trials. It stops if the chance of a rank within the best `keep` is below `limit`. A
    trial that is already better than every ended trial continues.

    Args:
        signals: names of reported metrics, such as `["grad_norm", "loss"]`; by default only the
            predicted metric.
        metric: metric whose final value is predicted; optional with one objective.
        direction: direction of a reported metric that is not an objective.
        share: share of a run to observe, above 0 and below 1; 0.02 to 0.1 is early.
        keep: the best share of trials that a trial should have a chance to join.
        limit: probability of joining it below which a trial is stopped.
        min_trials: minimum number of trials that ended on their own to stop any; 12 or more.
        n_first: number of first trials that are never stopped.

    Reference:
        A. Pareja et al., 2024, "Unveiling the Secret Recipe: A Guide For Supervised Fine-Tuning
        Small LLMs", arXiv 2412.13337: lower gradient norms and higher losses early in training
        go with better final models.
    """

    name = "early_dynamics"

    def __init__(
        self,
        signals: Sequence[str] | None = None,
        metric: str | None = None,
        *,
        direction: Direction | None = None,
        share: float = 0.1,
        keep: float = 0.2,
        limit: float = 0.1,
        min_trials: int = 12,
        n_first: int = 1,
    ) -> None:
        named = isinstance(signals, Sequence) and not isinstance(signals, str)
        if signals is not None and not (
            named and signals and all(isinstance(s, str) and s for s in signals)
        ):
            raise InvalidArgument(
                f'signals={signals!r}, expected names of reported metrics, e.g. ["grad_norm"].'
            )
        super().__init__(metric, direction=direction)
        for name, value in (("share", share), ("keep", keep), ("limit", limit)):
            check_number(value, name, low=0.0, is_open=True)
            if value >= 1.0:
                raise InvalidArgument(f"{name}={value!r}, expected a share below 1.")
        check_whole(min_trials, "min_trials", low=12)
        check_whole(n_first, "n_first", low=1)
        self.signals = None if signals is None else tuple(dict.fromkeys(signals))
        self.share, self.keep, self.limit = share, keep, limit
        self.min_trials, self.n_first = min_trials, n_first
        self._reader = LossCurveReader()

    def decide(self, number: int, view: CurveView) -> Decision:
        """Return the decision on trial `number` after its latest report.

        Raises:
            InvalidArgument: the study has several objectives and no metric is given, or no
                objective of that name.
        """
        watched = self.only_watched(view)
        if number < self.n_first:
            return CONTINUE
        ended = [t for t in ended_by_themselves(view) if t.number != number]
        if len(ended) < self.min_trials:
            return CONTINUE
        end = float(np.median([_last_step(view.reports[t.number]) for t in ended]))
        own = view.reports.get(number, ())
        if not _is_due(own, self.share * end):
            return CONTINUE
        step = _last_step(own)
        features = self.features(own, step, watched)
        rows = [(self.features(view.reports[t.number], step, watched), t) for t in ended]
        known = [(f, t) for f, t in rows if f is not None]
        if features is None or len(known) < self.min_trials:
            return CONTINUE
        finals = [final_loss(t, self._losses(t.number, view, watched), watched) for _, t in known]
        if self._is_record(number, ended, view, watched):
            return CONTINUE
        learnt = Learnt.fit(np.array([f for f, _ in known]), np.array(finals))
        if not learnt.bound > 0.0:
            return CONTINUE
        expected = learnt.predict(features)
        chance = _normal_below((self.keep - expected) / max(learnt.residual, 1e-9))
        if chance >= self.limit:
            return CONTINUE
        return self._stop(step, features, learnt, expected, chance, watched)

    def features(
        self, reports: Sequence[Report], step: int, watched: ObjectiveSpec
    ) -> Floats | None:
        """Return the `(k,)` features of the reports up to a step, `None` if a signal is missing.

        For each signal its moving average (span of a third of the reports), on a logarithmic
        scale of both signs, and the average less its value at the start. What is not finite
        counts as 1e30, the end of the scale; the watched metric counts as a loss.
        """
        out = []
        for name in self._names(watched):
            steps = [r.step for r in reports if name in r.metrics]
            values = [r.metrics[name] for r in reports if name in r.metrics]
            values = [v for s, v in zip(steps, values, strict=True) if s <= step]
            if not values:
                return None
            if name == watched.metric:
                values = [watched.loss(v) for v in values]
            scaled = [_log(v) for v in values]
            weight = 2.0 / (max(1.0, len(scaled) / 3.0) + 1.0)
            average = scaled[0]
            for value in scaled[1:]:
                average += weight * (value - average)
            out += [average, average - scaled[0]]
        return np.array(out, np.float64)

    def _names(self, watched: ObjectiveSpec) -> tuple[str, ...]:
        return (watched.metric,) if self.signals is None else self.signals

    def _losses(self, number: int, view: CurveView, watched: ObjectiveSpec) -> list[float]:
        return [v[0] for v in self._reader.read(number, view, (watched,)).losses]

    def _is_record(
        self, number: int, ended: Sequence[TrialRecord], view: CurveView, watched: ObjectiveSpec
    ) -> bool:
        """Return whether a trial's loss is lower than any that the ended trials ever reached."""
        own = self._losses(number, view, watched)
        known = [min(self._losses(t.number, view, watched), default=math.inf) for t in ended]
        return bool(own) and own[-1] < min(known)

    def _stop(
        self,
        step: int,
        features: Floats,
        learnt: Learnt,
        expected: float,
        chance: float,
        watched: ObjectiveSpec,
    ) -> Decision:
        averages = {
            name: watched.loss(_unlog(f)) if name == watched.metric else _unlog(f)
            for name, f in zip(self._names(watched), features[::2].tolist(), strict=True)
        }
        seen = ", ".join(f"{name} {value:.4g}" for name, value in averages.items())
        share = min(max(expected, 0.0), 1.0)
        reason = (
            f"early {seen} at step {step} predict a final {watched.metric} behind {share:.0%} of "
            f"{learnt.n} complete trials; {chance:.2%} chance to be among the best "
            f"{self.keep:.0%} (limit {self.limit:.2%}); rank correlation on trials left out "
            f"{learnt.correlation:.2f}, at least {learnt.bound:.2f}"
        )
        evidence = {
            "metric": watched.metric,
            "step": step,
            "signals": averages,
            "slopes": learnt.slopes.tolist(),
            "expected_rank": expected,
            "residual": learnt.residual,
            "chance": chance,
            "keep": self.keep,
            "limit": self.limit,
            "correlation": learnt.correlation,
            "correlation_bound": learnt.bound,
            "n_trials": learnt.n,
        }
        return Decision("stop", reason, evidence)


def _last_step(reports: Sequence[Report]) -> int:
    return max((r.step for r in reports), default=0)


def _is_due(reports: Sequence[Report], step: float) -> bool:
    """Return whether the latest report is the first at or beyond a step (at least the second)."""
    steps = sorted({r.step for r in reports})
    if len(steps) < 2 or reports[-1].step != steps[-1]:
        return False
    due = max(bisect_right(steps, math.nextafter(step, -math.inf)), 1)
    return due == len(steps) - 1


def _log(value: float) -> float:
    value = WORST if math.isnan(value) else max(-WORST, min(WORST, value))
    return math.copysign(math.log1p(abs(value) * 1e3), value)


def _unlog(scaled: float) -> float:
    return math.copysign(math.expm1(abs(scaled)) / 1e3, scaled)


def _normal_below(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2.0))
