"""Predicts final values of running trainings from complete ones.

Sequential regression: for each number of reports a model predicts the remaining gain, the final
value minus the last report. The model mixes trees, a nu-SVR and a ridge regression with weights
fitted on held-out runs. If the mixture does not beat the last value, the last value is predicted.

Reference:
    B. Baker, O. Gupta, R. Raskar and N. Naik, 2017, "Accelerating Neural Architecture Search
    using Performance Prediction", arXiv 1705.10823, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from tunekit_surrogates.curves.conformal import Residuals
from tunekit_surrogates.curves.features import carried, curve_features
from tunekit_surrogates.curves.parametric import extrapolated
from tunekit_surrogates.curves.scale import Floats, Scale

MIN_CURVES = 3
"""Minimum number of complete runs with a finite final value to make a forecast."""

MIN_REGRESSION = 12
"""Minimum number of complete runs to fit regressions; below it parametric families are used."""

CLEARLY = 0.8
"""With few runs, the families are used if their error is below this share of the last value's."""

PULL, PULL_ROWS = 0.3, 4.0
"""Shrinkage of the models' weights towards equal ones, in rows: `PULL * n + PULL_ROWS`."""

MODELS = ("trees", "svr", "ridge")


@dataclass(frozen=True, slots=True)
class Completed:
    """Runs that ended on their own; stopped runs are excluded.

    Attributes:
        curves: `(n, T)` losses by report, less is better; NaN where not reported, `inf` where
            NaN or infinity was. Runs of fewer than T reports are NaN after their own last.
        finals: `(n,)` results at each run's own end; `inf` for a run that diverged.
        x: `(n, d)` parameters of the runs, without NaN; `d` may be 0.
    """

    curves: Floats
    finals: Floats
    x: Floats

    @property
    def lengths(self) -> Floats:
        """Return the `(n,)` numbers of reports up to each run's last one."""
        is_known = ~np.isnan(self.curves)
        width = self.curves.shape[1]
        ends: Floats = width - np.argmax(is_known[:, ::-1], axis=1)
        return np.where(is_known.any(axis=1), ends, 0)


@dataclass(frozen=True, slots=True)
class Forecast:
    """Distributions of final values, one for each requested run.

    Attributes:
        centre: `(m,)` expected final values, `inf` for a run expected to diverge.
        diverging: `(m,)` probabilities that the run diverges.
        model: names and weights of the models, such as `"trees 0.6 + svr 0.3"`.
        n_curves: complete runs of this study used for training.
        with_past: whether runs of earlier studies were used as well.
        n_judged: held-out runs that shape the distribution, earlier studies included.
        mapped: `(m,)` expected final values on the common scale, finite.
        sizes: `(m,)` typical sizes of the error on the common scale.
    """

    centre: Floats
    diverging: Floats
    model: str
    n_curves: int
    with_past: bool
    n_judged: int
    mapped: Floats
    sizes: Floats
    scale: Scale
    residuals: Residuals

    def is_calibrated(self, chance: float) -> bool:
        """Return whether `n_judged` errors suffice to resolve a probability this small.

        After n errors, the next one exceeds them all with probability 1 / (n + 1).
        """
        return chance * (self.n_judged + 1) >= 1.0

    def quantile(self, chance: float) -> Floats:
        """Return the `(m,)` quantiles of the final values at this probability."""
        rest = chance / np.maximum(1.0 - self.diverging, 1e-12)
        inside = self.residuals.quantile(np.minimum(rest, 1.0), self.sizes)
        return np.where(rest < 1.0, self.scale.back(self.mapped + inside), np.inf)

    def below(self, value: float) -> Floats:
        """Return the `(m,)` probabilities that the final values lie below `value`."""
        target = float(self.scale.to(np.array([value]))[0])
        chance = self.residuals.below(target - self.mapped, self.sizes)
        return (1.0 - self.diverging) * chance

    @property
    def sd(self) -> Floats:
        """Return the `(m,)` half-widths of the 68 % intervals; `inf` where a run may diverge."""
        with np.errstate(invalid="ignore"):
            width = (self.quantile(0.84) - self.quantile(0.16)) / 2.0
        return np.where(np.isnan(width), np.inf, width)


class CurvePredictor:
    """Forecasts the final values of running trainings from complete ones.

    The models for each number of reports are fitted on first use and kept.

    Args:
        runs: complete runs of this study.
        past: complete runs of earlier studies with the same columns of `x`, one entry per study.
            They are mapped to ranks within their own study, so units may differ. A number of
            reports uses them only if they lower the held-out error on this study's runs.
        seed: for the trees and the folds.

    Raises:
        ValueError: the shapes of the arrays disagree.
    """

    def __init__(
        self, runs: Completed, *, past: tuple[Completed, ...] = (), seed: int = 0
    ) -> None:
        for part in (runs, *past):
            n = len(part.finals)
            if part.curves.ndim != 2 or len(part.curves) != n or part.x.shape[:1] != (n,):
                raise ValueError(
                    f"curves {part.curves.shape}, finals {part.finals.shape} and x {part.x.shape}"
                    ", expected the same number of rows in each."
                )
            if part.x.shape[1:] != runs.x.shape[1:]:
                raise ValueError(
                    f"past x {part.x.shape}, expected the columns of this study's {runs.x.shape}."
                )
        self.runs = runs
        self.seed = seed
        self._own = _Mapped.of(runs)
        self._past = [m for m in map(_Mapped.of, past) if m is not None]
        self._stages: dict[int, _Stage | None] = {}

    def forecast(self, curves: Floats, x: Floats) -> Forecast | None:
        """Return the forecast for runs with `(m, t)` reports and `(m, d)` parameters.

        NaN marks a missing report, `inf` a reported NaN or infinity. The result is `None` with
        fewer than three complete runs of at least `t` reports and a finite final value.
        """
        t = curves.shape[1]
        if t not in self._stages:
            self._stages[t] = self._fitted(t)
        stage = self._stages[t]
        if stage is None or self._own is None:
            return None
        return stage.forecast(curves, x, int(np.median(self.runs.lengths)))

    def _fitted(self, t: int) -> _Stage | None:
        own = None if self._own is None else self._own.at(t)
        if own is None or len(own.gains) < MIN_CURVES:
            return None
        horizon = int(np.median(self.runs.lengths))
        if len(own.gains) >= MIN_REGRESSION:
            alone = _regression(own, [], seed=self.seed)
        else:
            alone = _from_few(own, horizon)
        others = [s for s in (m.at(t) for m in self._past) if s is not None]
        if others and sum(len(s.gains) for s in others) >= MIN_REGRESSION:
            together = _regression(own, others, seed=self.seed)
            share = 1.0 if len(own.gains) >= MIN_REGRESSION else CLEARLY
            if together.error < share * alone.error:
                return together
        return alone


@dataclass(frozen=True, slots=True)
class _Rows:
    """Training rows: the runs that were alive after `t` reports.

    Attributes:
        curves: `(n, t)` mapped reports.
        last: `(n,)` latest mapped reports.
        features: `(n, k)` model inputs.
        gains: `(n,)` mapped final values minus `last`.
        volatility: `(n,)` typical change from report to report.
        diverging: probability that a run alive now diverges.
        recovering: probability that a run with a non-finite last report ends finite.
    """

    scale: Scale
    curves: Floats
    last: Floats
    features: Floats
    gains: Floats
    volatility: Floats
    diverging: float
    recovering: float


@dataclass(frozen=True, slots=True)
class _Mapped:
    """Complete runs and the scale of their study.

    Attributes:
        finals: `(n,)` mapped final values.
    """

    runs: Completed
    scale: Scale
    finals: Floats

    @classmethod
    def of(cls, runs: Completed) -> _Mapped | None:
        if not np.isfinite(runs.finals).any():
            return None
        scale = Scale.fit(runs.curves[:, runs.curves.shape[1] // 2 :], runs.finals)
        with np.errstate(invalid="ignore"):
            return cls(runs, scale, scale.to(runs.finals))

    def at(self, t: int) -> _Rows | None:
        """Return the training rows of the runs with `t` or more reports."""
        long = self.runs.lengths >= t
        heads = carried(self.runs.curves[long, :t])
        is_alive = np.isfinite(heads[:, -1]) if len(heads) else np.zeros(0, bool)
        ends_well = np.isfinite(self.finals[long])
        n_alive, n_dead = int(is_alive.sum()), int((~is_alive).sum())
        n_diverged = int((is_alive & ~ends_well).sum())
        kept = is_alive & ends_well
        if not kept.any():
            return None
        # Early reports may all lie above every final value.
        scale = self.scale.reaching(self.scale.to(heads[is_alive, -1]))
        seen = _Seen.of(heads[kept], self.runs.x[long][kept], scale)
        return _Rows(
            scale,
            scale.clipped(scale.to(heads[kept])),
            seen.last,
            seen.features,
            self.finals[long][kept] - seen.last,
            seen.volatility,
            # Half of Jeffreys' prior for a share: most studies have no divergence at all.
            (n_diverged + 0.25) / (n_alive + 1.0) if n_diverged else 0.0,
            int((~is_alive & ends_well).sum()) / (n_dead + 1.0),
        )


@dataclass(frozen=True, slots=True)
class _Seen:
    """Model inputs from the first reports of runs.

    Attributes:
        last: `(n,)` latest mapped reports.
        features: `(n, k)` model inputs.
        volatility: `(n,)` typical change from report to report.
    """

    last: Floats
    features: Floats
    volatility: Floats

    @classmethod
    def of(cls, heads: Floats, x: Floats, scale: Scale) -> _Seen:
        with np.errstate(invalid="ignore"):
            mapped = scale.to(heads)
        clipped = scale.clipped(mapped)
        last = np.where(mapped[:, -1] > scale.high, mapped[:, -1], clipped[:, -1])
        steps = np.abs(np.diff(clipped[:, -6:], axis=1))
        rough = steps.mean(axis=1) if steps.shape[1] else np.zeros(len(heads))
        # Features are clipped to the training range; the gain adds to the run's own last value.
        return cls(last, np.column_stack([curve_features(scale.within(mapped)), x]), rough)


@dataclass(frozen=True)
class _Stage:
    """The fitted models and residuals for one number of reports.

    Attributes:
        weights: `(k,)` weights of the `k` models in `predictors`; empty without models.
    """

    rows: _Rows
    predictors: tuple[object, ...]
    weights: Floats
    residuals: Residuals
    error: float
    name: str
    n_curves: int
    n_judged: int
    with_past: bool = False

    def forecast(self, curves: Floats, x: Floats, horizon: int) -> Forecast:
        scale = self.rows.scale
        heads = carried(curves)
        is_dead = ~np.isfinite(heads[:, -1])
        seen = _Seen.of(np.where(is_dead[:, None], 0.0, heads), x, scale)
        gains, spread = self._gains(heads, seen, scale, horizon)
        mapped = seen.last + gains
        difficulty = np.column_stack([np.abs(gains), seen.volatility, spread])
        diverging = np.where(is_dead, 1.0 - self.rows.recovering, self.rows.diverging)
        is_lost = is_dead | (diverging > 0.5)
        centre = np.where(is_lost, np.inf, scale.back(mapped))
        return Forecast(
            centre,
            diverging,
            self.name,
            self.n_curves,
            self.with_past,
            self.n_judged,
            np.where(is_dead, scale.high, mapped),
            self.residuals.sizes(difficulty),
            scale,
            self.residuals,
        )

    def _gains(
        self, heads: Floats, seen: _Seen, scale: Scale, horizon: int
    ) -> tuple[Floats, Floats]:
        """Return `(m,)` expected gains of `(m, t)` reports, and the models' `(m,)` spread."""
        if not self.predictors:
            nothing = np.zeros(len(heads))
            if self.name != "parametric":
                return nothing, nothing
            gains = _parametric(scale.clipped(scale.to(heads)), horizon)
            return gains, nothing
        each = np.column_stack([p(seen.features) for p in self.predictors])  # type: ignore[operator]
        exploded = seen.last > scale.high
        gains = np.where(exploded, 0.0, each @ self.weights)
        return gains, each.std(axis=1)


def _regression(own: _Rows, past: list[_Rows], *, seed: int) -> _Stage:
    """Return models fitted to all rows and evaluated on those of this study."""
    from tunekit_surrogates.curves import regressors  # needs scikit-learn

    n = len(own.gains)
    x = np.concatenate([own.features, *(p.features for p in past)])
    truth = np.concatenate([own.gains, *(p.gains for p in past)])
    reach = 3.0 * float(np.quantile(np.abs(own.gains), 0.9)) + 1e-9
    y = np.minimum(truth, reach)  # an explosion must not dominate the fit
    fits = [
        f(x, y, seed=seed)
        for f in (regressors.forest, regressors.support_vectors, regressors.ridge)
    ]
    unseen = np.column_stack([f.unseen for f in fits])
    weights = _weights(unseen[:n], y[:n])
    gains = unseen @ weights
    last_error = float(np.abs(own.gains).mean())
    error = float(np.abs(own.gains - gains[:n]).mean())
    name = " + ".join(f"{m} {w:.2f}" for m, w in zip(MODELS, weights, strict=True) if w >= 0.005)
    if not error < last_error:
        weights, error, name = np.zeros(len(fits)), last_error, "last value"
        gains = np.zeros(len(y))
    volatility = np.concatenate([own.volatility, *(p.volatility for p in past)])
    difficulty = np.column_stack([np.abs(gains), volatility, unseen.std(axis=1)])
    # The weights were fitted to the same rows: correct for the lost degrees of freedom.
    freedom = np.sqrt(n / max(n - len(fits), 1.0)) if weights.any() else 1.0
    residuals = Residuals.fit(freedom * (truth - gains), difficulty)
    predictors = tuple(f.predict for f in fits)
    return _Stage(own, predictors, weights, residuals, error, name, n, len(y), bool(past))


def _weights(unseen: Floats, gains: Floats) -> Floats:
    """Return `(k,)` non-negative weights for models with `(n, k)` held-out predictions.

    Minimises `|U w - g|^2 / unit^2 + pull^2 |w - 1/k|^2` over `w >= 0`: the rows `pull * I` and
    `pull / k` append the second term to the least squares problem.
    """
    unit = float(gains.std()) + 1e-12
    k = unseen.shape[1]
    pull = np.sqrt((PULL * len(gains) + PULL_ROWS) / k)
    a = np.vstack([unseen / unit, pull * np.eye(k)])
    b = np.concatenate([gains / unit, np.full(k, pull / k)])
    found: Floats = nnls(a, b)[0]
    return found


def _from_few(own: _Rows, horizon: int) -> _Stage:
    """Return a stage that extrapolates parametrically if this clearly beats the last value."""
    gains = _parametric(own.curves, horizon)
    errors = [float(np.abs(own.gains - g).mean()) for g in (np.zeros(len(gains)), gains)]
    is_parametric = errors[1] < CLEARLY * errors[0]
    taken = gains if is_parametric else np.zeros(len(gains))
    difficulty = np.column_stack([np.abs(taken), own.volatility, np.zeros(len(gains))])
    residuals = Residuals.fit(own.gains - taken, difficulty)
    name = "parametric" if is_parametric else "last value"
    return _Stage(own, (), np.empty(0), residuals, min(errors), name, len(gains), len(gains))


def _parametric(mapped: Floats, horizon: int) -> Floats:
    """Return `(n,)` gains over the last of `(n, t)` mapped reports, by extrapolation."""
    return extrapolated(mapped, horizon) - mapped[:, -1]
