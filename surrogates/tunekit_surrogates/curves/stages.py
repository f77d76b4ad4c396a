"""Fits models of the remaining gain for one number of reports, and judges them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from scipy.optimize import nnls

from tunekit_surrogates.curves.conformal import Residuals
from tunekit_surrogates.curves.features import carried
from tunekit_surrogates.curves.forecast import Forecast
from tunekit_surrogates.curves.parametric import extrapolated
from tunekit_surrogates.curves.scale import Floats, Scale
from tunekit_surrogates.curves.training_rows import FirstReports, TrainingRows

MIN_REGRESSION = 30
"""Minimum number of complete runs to fit regressions: the held-out runs of fewer cannot tell
whether a regression ranks better than the last value."""

CLEARLY = 0.4
"""An extrapolation is used if its error is below this share of the last value's: on noisy curves
it is worse, and a few runs would not show a small difference."""

CLEARLY_LEARNT = 0.8
"""The same with few runs for a model that was fitted to earlier studies."""

PULL, PULL_ROWS = 0.3, 4.0
"""Shrinkage of the models' weights towards equal ones, in rows: `PULL * n + PULL_ROWS`."""

MODELS = ("trees", "svr", "ridge")
PARAMETRIC = "parametric"
NOT_BETTER = "no model predicts held-out curves better"

Predictor: TypeAlias = Callable[[Floats], Floats]
"""Maps `(m, k)` features to `(m,)` gains."""


@dataclass(frozen=True)
class FittedStage:
    """The fitted models and residuals for one number of reports.

    Attributes:
        weights: `(k,)` weights of the `k` models in `predictors`; empty without models.
        unseen: `(n,)` gains of this study's runs, each predicted without the run.
        name: of the models.
        n_curves: this study's runs.
        n_judged: held-out runs that shape the distribution.
        fallback: why the last value is predicted; empty if a model predicts.
    """

    rows: TrainingRows
    predictors: tuple[Predictor, ...]
    weights: Floats
    residuals: Residuals
    unseen: Floats
    name: str
    n_curves: int
    n_judged: int
    with_past: bool = False
    fallback: str = ""

    def forecast(
        self, curves: Floats, x: Floats, horizon: int, *, others: Floats | None = None
    ) -> Forecast:
        """Return the forecast for `(m, t)` reports, `(m, d)` parameters and further metrics."""
        scale, scales = self.rows.scale, self.rows.other_scales
        heads = carried(curves)
        is_dead = ~np.isfinite(heads[:, -1])
        alive = np.where(is_dead[:, None], 0.0, heads)
        seen = FirstReports.of(alive, x, scale, others if scales else None, scales)
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
            self.fallback,
            self.n_curves,
            self.with_past,
            self.n_judged,
            np.where(is_dead, scale.high, mapped),
            self.residuals.sizes(difficulty),
            scale,
            self.residuals,
        )

    def _gains(
        self, heads: Floats, seen: FirstReports, scale: Scale, horizon: int
    ) -> tuple[Floats, Floats]:
        """Return `(m,)` expected gains of `(m, t)` reports, and the models' `(m,)` spread."""
        if not self.predictors:
            nothing = np.zeros(len(heads))
            if self.name != PARAMETRIC:
                return nothing, nothing
            is_known = np.isfinite(heads[:, -1])
            nothing[is_known] = _parametric(heads[is_known], horizon, scale)
            return nothing, np.zeros(len(heads))
        each = np.column_stack([p(seen.features) for p in self.predictors])
        exploded = seen.last > scale.high
        gains = np.where(exploded, 0.0, each @ self.weights)
        return gains, each.std(axis=1)


def better_of(stage: FittedStage, other: FittedStage) -> FittedStage:
    """Return the other stage if it predicts held-out runs of this study better, else the first.

    It has to lower the error and to rank the runs no worse; where it lowers the error clearly,
    ranks within groups of equal runs are a matter of chance. The ranks of few runs are so, too.
    """
    gains, n = stage.rows.gains, len(stage.rows.gains)
    error, of_other = (float(np.abs(gains - s.unseen).mean()) for s in (stage, other))
    is_clear = of_other < CLEARLY * error
    if n < MIN_REGRESSION:
        is_better = of_other < CLEARLY_LEARNT * error if other.with_past else is_clear
        return other if is_better else stage
    orders = [_order(s.rows.last + s.unseen, s.rows.last + s.rows.gains) for s in (stage, other)]
    if is_clear or (of_other < error and orders[1] >= orders[0]):
        return other
    return replace(stage, fallback=NOT_BETTER) if stage.fallback else stage


def _order(predicted: Floats, truth: Floats) -> float:
    """Return the share of pairs in the right order less those in the wrong one: Kendall's tau."""
    pairs = np.sign(predicted[:, None] - predicted) * np.sign(truth[:, None] - truth)
    return float(pairs.mean())


def regression(own: TrainingRows, past: list[TrainingRows], *, seed: int) -> FittedStage:
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
    name = " + ".join(f"{m} {w:.2f}" for m, w in zip(MODELS, weights, strict=True) if w >= 0.005)
    volatility = np.concatenate([own.volatility, *(p.volatility for p in past)])
    difficulty = np.column_stack([np.abs(gains), volatility, unseen.std(axis=1)])
    # The weights were fitted to the same rows: correct for the lost degrees of freedom.
    freedom = np.sqrt(n / max(n - len(fits), 1.0))
    residuals = Residuals.fit(freedom * (truth - gains), difficulty)
    predictors = tuple(f.predict for f in fits)
    return FittedStage(own, predictors, weights, residuals, gains[:n], name, n, len(y), bool(past))


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


def from_few(own: TrainingRows, horizon: int) -> FittedStage:
    """Return the last value, or its parametric extrapolation if that is clearly better."""
    n = len(own.gains)
    few = f"fewer than {MIN_REGRESSION} complete curves"
    last = _unfitted(own, np.zeros(n), "last value", fallback=few)
    gains = _parametric(own.heads, horizon, own.scale)
    is_clear = np.abs(own.gains - gains).mean() < CLEARLY * np.abs(own.gains).mean()
    return _unfitted(own, gains, PARAMETRIC) if is_clear else last


def _unfitted(own: TrainingRows, gains: Floats, name: str, *, fallback: str = "") -> FittedStage:
    """Return a stage that predicts gains without a fitted model."""
    n = len(gains)
    difficulty = np.column_stack([np.abs(gains), own.volatility, np.zeros(n)])
    residuals = Residuals.fit(own.gains - gains, difficulty)
    return FittedStage(own, (), np.empty(0), residuals, gains, name, n, n, fallback=fallback)


def _parametric(heads: Floats, horizon: int, scale: Scale) -> Floats:
    """Return `(n,)` gains over the last of `(n, t)` reports, by extrapolation.

    The families describe losses, not their ranks: on the common scale a small step below all
    known values would be a large one.
    """
    known = np.isfinite(heads)
    highest = np.where(known, heads, -np.inf).max(axis=1, keepdims=True)
    ends = extrapolated(np.where(known, heads, highest), horizon)
    gains: Floats = scale.to(ends) - scale.to(heads[:, -1])
    return gains
