"""The curve stopper: ends trials whose predicted final value is unlikely to beat the best."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal, TypeAlias, get_args

from tunekit.checks import check_number, check_whole
from tunekit.errors import InvalidArgument, MissingExtra
from tunekit.records import CONTINUE, Decision, ObjectiveSpec, TrialState
from tunekit.stoppers.base import CurveView
from tunekit.stoppers.curves.complete import (
    CompleteTrials,
    Fitted,
    ended_by_themselves,
    final_loss,
    past_runs,
)
from tunekit.stoppers.losses import LossCurveReader
from tunekit.stoppers.options import MetricStopper
from tunekit.stoppers.rungs import Ladder, RungStanding
from tunekit.stoppers.second_look import SecondLookStopper
from tunekit_surrogates.curves.predictor import Forecast

Rule: TypeAlias = Literal["chance", "rank", "both"]

LEVEL = 0.9  # coverage of the displayed interval

LEAST = 2
"""Number of the best at a rung that always continue with `rule="both"`."""

SURE = 3.0  # divides the share that continues for trials whose prediction is hopeless


@dataclass(frozen=True, slots=True)
class _Study:
    """The data of a study that a decision depends on."""

    view: CurveView
    watched: ObjectiveSpec
    fitted: Fitted | None
    best: float | None


@dataclass(frozen=True, slots=True)
class _Verdict:
    """The assessment of a trial at a rung.

    Attributes:
        rung: level, in reports.
        before, n: number of better trials, and of all trials that have reached the rung.
        n_allowed: number of better trials at which it is stopped; `None` if ranks do not count.
        forecast, chance: forecast of the final value and probability to beat the best; `None`
            if unknown.
    """

    rung: int
    before: int
    n: int
    n_allowed: int | None = None
    forecast: Forecast | None = None
    chance: float | None = None


@dataclass(eq=False, kw_only=True)
class CurveStopper(MetricStopper):
    """Stops trials that lag behind and are predicted not to beat the best.

    At rungs (after `min_reports` reports, then whenever their number has grown by `factor`) the
    final value is predicted from the reports so far and the params. Its distribution comes from
    held-out errors on trials of this study. Trials are compared at their k-th reports, so they
    should report at the same pace.

    * `rule="both"`, the default, takes the verdicts of `second_look` with `share=spare`: a trial
      stops if it lags behind, at low rungs only after a second look. From report `predict_from`
      on, a trial outside the best `spare / 3 * n / t` of `n` started ones also stops at rung `t`
      if P(it beats the best) is below `limit`. The best two at a rung always continue.
    * `rule="chance"` stops when P(it beats the best) is below `limit`, whatever its rank. A few
      complete curves say little about an exceptional one: among random trials this rule often
      loses the best, but it suits similar trials.
    * `rule="rank"` keeps the best `1 / eta` by predicted final value of all trials that have
      reached the rung (f-Hyperband).

    The chance must be below the limit at `patience` rungs in a row. If the chance alone
    decides, it needs `1 / limit - 1` complete curves, 19 by default, because fewer cannot
    resolve such a small probability. A trial already better than every ended trial is never
    stopped. The models learn only from trials that ended by themselves, so some must: the first
    `n_first` trials (including trial 0, often the default) are never stopped, nor is any trial
    while fewer than `keep_min` ended trials ran to their end. Below 30 complete trials, and
    where held-out trials do not show that a model is better, the last value predicts, or its
    extrapolation where that is clearly better; a decision says so. With fewer than 3, nothing is
    predicted. Models also read the other metrics that all complete trials report, such as the
    training loss, where that helps.

    Args:
        metric: what is watched; it may be left out if the study has one objective.
        direction: of a metric that is only reported and no objective.
        rule: see above.
        limit: probability to beat the best below which a trial is hopeless.
        patience: consecutive rungs at which the probability must be below the limit.
        spare: with `rule="both"`, how many trials continue; 1 means about one in `t` at report
            `t`; see `SecondLookStopper`.
        predict_from: with `rule="both"`, number of reports from which predictions count.
        eta: with `rule="rank"`, one in `eta` trials continues.
        min_reports: grace period, and first rung.
        factor: factor between adjacent rungs at which predictions count.
        n_first: number of first trials that are never stopped; 1 or more.
        keep_min: minimum share of trials that run to their end.
        refit_every: number of further ended trials between fits.
        past: complete runs of earlier studies, as returned by `warm_start.past_curves`. They
            are used for a number of reports only if they lower the held-out error on this
            study's curves; the evidence then says `with_past`.

    Reference:
        B. Baker, O. Gupta, R. Raskar and N. Naik, 2017, "Accelerating Neural Architecture Search
        using Performance Prediction", arXiv 1705.10823, sections 3.3 and 3.4 (f-Hyperband).
    """

    name = "curve"

    rule: Rule = "both"
    limit: float = 0.05
    patience: int = 1
    spare: float = 1.0
    predict_from: int = 10
    eta: float = 3
    min_reports: int = 3
    factor: float = 1.5
    n_first: int = 2
    keep_min: float = 0.05
    refit_every: int = 4
    past: Sequence[Mapping[str, Any]] = ()

    def __post_init__(self) -> None:
        if find_spec("sklearn") is None:
            raise MissingExtra("sklearn", 'The stopper "curve"')
        super().__post_init__()
        if self.rule not in get_args(Rule):
            raise InvalidArgument(f'rule={self.rule!r}, expected "chance", "rank" or "both".')
        for name in ("limit", "keep_min"):
            share = getattr(self, name)
            check_number(share, name, low=0.0)
            if share >= 1.0:
                raise InvalidArgument(f"{name}={share!r}, expected a share below 1.")
        check_number(self.eta, "eta", low=1.0, is_open=True)
        check_number(self.factor, "factor", low=1.0, is_open=True)
        check_number(self.spare, "spare", low=0.0, is_open=True)
        for name in ("patience", "predict_from", "min_reports", "n_first", "refit_every"):
            check_whole(getattr(self, name), name, low=1)
        self._reader = LossCurveReader()
        self._ladder = Ladder(self.min_reports, self.factor, self._reader)
        self._second = SecondLookStopper(
            self.metric,
            direction=self.direction,
            share=self.spare,
            min_resource=self.min_reports,
            n_exempt=self.n_first,
        )
        self._trials = CompleteTrials(refit_every=self.refit_every, past=past_runs(self.past))
        self._predicted_by: Fitted | None = None
        self._predicted: dict[int, dict[int, float]] = {}

    def decide(self, number: int, view: CurveView) -> Decision:
        """Return the decision on trial `number` after its latest report.

        Raises:
            InvalidArgument: the study has several objectives and no metric is given, or no
                objective of that name.
        """
        watched = self.only_watched(view)
        losses = self._losses(number, view, watched)
        is_dead = bool(losses) and not math.isfinite(losses[-1])
        seen = CONTINUE
        if self.rule == "both" or is_dead:
            seen = self._second.decide(number, view)
        passed = self._ladder.passed(number, view, (watched,))
        if is_dead or number < self.n_first or (seen is CONTINUE and not passed):
            return seen
        best = self._best(view, watched)
        is_first = best is not None and losses[-1] < best  # better than every final value
        if is_first or not self._may_stop(view):
            return CONTINUE
        study = _Study(view, watched, self._trials.fitted(view, watched, self._reader), best)
        if seen is not CONTINUE:
            return self._explained(number, seen, study)
        verdict = self._verdict(number, passed[-1], study)
        if not self._condemns(number, verdict, study):
            return CONTINUE
        return self._stop(verdict, watched, best)

    def _explained(self, number: int, seen: Decision, study: _Study) -> Decision:
        """Return the verdict of the second look with what is predicted for the trial."""
        n_reports = len(self._losses(number, study.view, study.watched))
        forecast = self._forecast([number], n_reports, study)
        if forecast is None:
            return seen
        evidence = {"metric": study.watched.metric, "rule": self.rule, "report": n_reports}
        said = _predicted(forecast, study.watched, evidence)
        return Decision("stop", f"{seen.reason}; {said}", {**seen.evidence, **evidence})

    def _may_stop(self, view: CurveView) -> bool:
        ran, stopped = 0, 0
        for trial in view.history:
            # A running one of the first trials will run to its end.
            is_sure = not trial.state.is_finished and trial.number < self.n_first
            ran += is_sure or trial.state in (TrialState.COMPLETE, TrialState.DIVERGED)
            stopped += trial.state is TrialState.STOPPED
        return ran >= self.keep_min * (ran + stopped + 1)

    def _best(self, view: CurveView, watched: ObjectiveSpec) -> float | None:
        finals = []
        for trial in ended_by_themselves(view):
            finals.append(final_loss(trial, self._losses(trial.number, view, watched), watched))
        best = min(finals, default=math.inf)
        return best if math.isfinite(best) else None

    def _verdict(self, number: int, rung: RungStanding, study: _Study) -> _Verdict:
        t = rung.level
        forecast = self._forecast([number], t, study)
        chance = None
        if forecast is not None and study.best is not None:
            chance = float(forecast.below(study.best)[0])
        if self.rule == "chance":
            return _Verdict(t, rung.before, rung.n, None, forecast, chance)
        if self.rule == "rank":
            if forecast is None:
                return _Verdict(t, 0, rung.n, None)
            centres = self._centres(t, study)
            before = sum(c < centres[number] for c in centres.values())
            n_allowed = max(1, math.ceil(len(centres) / self.eta))
            return _Verdict(t, before, len(centres), n_allowed, forecast, chance)
        if t < self.predict_from or not self._is_hopeless(number, t, study):
            return _Verdict(t, rung.before, rung.n, None)
        n_started = self._second.n_started(study.view, (study.watched,))
        n_allowed = max(LEAST, math.ceil(self.spare / SURE * n_started / t))
        return _Verdict(t, rung.before, rung.n, n_allowed, forecast, chance)

    def _condemns(self, number: int, verdict: _Verdict, study: _Study) -> bool:
        if self.rule == "chance":
            return self._is_hopeless(number, verdict.rung, study)
        return verdict.n_allowed is not None and verdict.before >= verdict.n_allowed

    def _is_hopeless(self, number: int, rung: int, study: _Study) -> bool:
        """Return whether the chance is below the limit here and at the preceding rungs."""
        level: int | None = rung
        for _ in range(self.patience):
            if level is None:
                return False
            forecast = self._forecast([number], level, study)
            if forecast is None:
                return False
            # With ranks a chance may be approximate; alone it must be calibrated.
            if self.rule == "chance" and not forecast.is_calibrated(self.limit):
                return False
            if study.best is None or float(forecast.below(study.best)[0]) >= self.limit:
                return False
            level = self._ladder.highest(level - 1)
        return True

    def _centres(self, rung: int, study: _Study) -> dict[int, float]:
        """Return the predicted final losses of all trials that have reached a rung."""
        come = self._ladder.numbers_at(rung, study.view, (study.watched,))
        if self._predicted_by is not study.fitted:
            self._predicted_by, self._predicted = study.fitted, {}
        known = self._predicted.setdefault(rung, {})
        new = sorted(come - known.keys())
        if new:
            forecast = self._forecast(new, rung, study)
            assert forecast is not None, "the trial asked about has one"
            known |= dict(zip(new, forecast.centre.tolist(), strict=True))
        return {n: known[n] for n in come}

    def _forecast(self, numbers: Sequence[int], rung: int, study: _Study) -> Forecast | None:
        if study.fitted is None:
            return None
        trials = [study.view.history.get(n) for n in numbers]
        heads = [self._losses(n, study.view, study.watched)[:rung] for n in numbers]
        points = [dict(t.params or {}) if t else {} for t in trials]
        reports = [study.view.reports.get(n, ()) for n in numbers]
        return study.fitted.forecast(heads, points, reports)

    def _losses(self, number: int, view: CurveView, watched: ObjectiveSpec) -> list[float]:
        curve = self._reader.read(number, view, (watched,))
        return [losses[0] for losses in curve.losses]

    def _stop(self, verdict: _Verdict, watched: ObjectiveSpec, best: float | None) -> Decision:
        said, evidence = [], {"metric": watched.metric, "rule": self.rule, "report": verdict.rung}
        if verdict.forecast is not None:
            said.append(_predicted(verdict.forecast, watched, evidence))
        if best is not None and verdict.chance is not None:
            top = _metric(best, watched)
            evidence |= {"best": top, "chance": verdict.chance, "limit": self.limit}
            evidence["patience"] = self.patience
            said.append(
                f"{verdict.chance:.2%} chance to beat {_text(top)} (limit {self.limit:.2%})"
            )
        if verdict.n_allowed is not None:
            evidence |= {"n_before": verdict.before, "n_reached": verdict.n}
            evidence["n_allowed"] = verdict.n_allowed
            by = " by prediction" if self.rule == "rank" else ""
            said.append(
                f"{verdict.before} of {verdict.n} trials are better{by} at report "
                f"{verdict.rung}; the best {verdict.n_allowed} continue"
            )
        return Decision("stop", "; ".join(said), evidence)


def _predicted(f: Forecast, watched: ObjectiveSpec, evidence: dict[str, Any]) -> str:
    """Return the forecast as text, and add it to the evidence."""
    ends = [float(f.quantile(q)[0]) for q in ((1 - LEVEL) / 2, (1 + LEVEL) / 2)]
    if watched.direction == "maximize":
        ends.reverse()
    low, high = (_metric(v, watched) for v in ends)
    # A last value only ranks, and may lie outside of the interval; the median does not.
    expected = f.quantile(0.5) if f.fallback else f.centre
    predicted = _metric(float(expected[0]), watched)
    evidence |= {
        "predicted": predicted,
        "interval": [low, high],
        "level": LEVEL,
        "diverging": float(f.diverging[0]),
        "n_curves": f.n_curves,
        "model": f.model,
        "fallback": f.fallback,
        "with_past": f.with_past,
    }
    model = f"{f.model}: {f.fallback}" if f.fallback else f.model
    curves = f"from {f.n_curves} complete curves ({model})"
    if predicted is None:
        return f"it has diverged, {curves}"
    interval = f"[{_text(low)}, {_text(high)}]"
    return f"predicted final {watched.metric} {_text(predicted)} {interval} {curves}"


def _metric(loss: float, watched: ObjectiveSpec) -> float | None:
    return watched.loss(loss) if math.isfinite(loss) else None


def _text(value: float | None) -> str:
    return "diverged" if value is None else f"{value:.4g}"
