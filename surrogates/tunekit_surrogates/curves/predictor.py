"""Predicts final values of running trainings from complete ones.

Sequential regression: for each number of reports a model predicts the remaining gain, the final
value minus the last report. The model mixes trees, a nu-SVR and a ridge regression with weights
fitted on held-out runs. With few complete runs, and where the held-out runs do not show that the
mixture is better, the last value is predicted, and the forecast says so.

Reference:
    B. Baker, O. Gupta, R. Raskar and N. Naik, 2017, "Accelerating Neural Architecture Search
    using Performance Prediction", arXiv 1705.10823, section 3.
"""

from __future__ import annotations

import numpy as np

from tunekit_surrogates.curves.forecast import Forecast
from tunekit_surrogates.curves.scale import Floats
from tunekit_surrogates.curves.stages import (
    MIN_REGRESSION,
    FittedStage,
    better_of,
    from_few,
    regression,
)
from tunekit_surrogates.curves.training_rows import Completed, MappedRuns, TrainingRows

__all__ = ["Completed", "CurvePredictor", "Forecast"]

MIN_CURVES = 3
"""Minimum number of complete runs with a finite final value to make a forecast."""

MIN_PAST = 12
"""Minimum number of complete runs of earlier studies to learn from them."""


class CurvePredictor:
    """Forecasts the final values of running trainings from complete ones.

    The models for each number of reports are fitted on first use and kept.

    Args:
        runs: complete runs of this study.
        past: complete runs of earlier studies with the same columns of `x`, one entry per study.
            They are mapped to ranks within their own study, so units may differ. A number of
            reports uses them only if they predict held-out runs of this study better.
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
        self._own = MappedRuns.of(runs)
        self._past = [m for m in map(MappedRuns.of, past) if m is not None]
        self._stages: dict[tuple[int, bool], FittedStage | None] = {}

    def forecast(
        self, curves: Floats, x: Floats, *, others: Floats | None = None
    ) -> Forecast | None:
        """Return the forecast for runs with `(m, t)` reports and `(m, d)` parameters.

        NaN marks a missing report, `inf` a reported NaN or infinity. The result is `None` with
        fewer than three complete runs of at least `t` reports and a finite final value.

        Args:
            curves: `(m, t)` losses.
            x: `(m, d)` parameters.
            others: `(k, m, t)` reports of the further metrics that complete runs have.
        """
        t, with_others = curves.shape[1], others is not None and self.runs.others is not None
        if (t, with_others) not in self._stages:
            self._stages[t, with_others] = self._fitted(t, with_others=with_others)
        stage = self._stages[t, with_others]
        if stage is None or self._own is None:
            return None
        horizon = int(np.median(self.runs.lengths))
        return stage.forecast(curves, x, horizon, others=others)

    def _fitted(self, t: int, *, with_others: bool) -> FittedStage | None:
        """Return the last value, or the first regression that is better on held-out runs.

        A regression that reads the further metrics comes before the one that does not; one that
        also learns from earlier studies has to be better than either.
        """
        own = None if self._own is None else self._own.at(t)
        if self._own is None or own is None or len(own.gains) < MIN_CURVES:
            return None
        found = from_few(own, int(np.median(self.runs.lengths)))
        if len(own.gains) >= MIN_REGRESSION:
            more = self._own.at(t, with_others=True) if with_others else None
            found = self._learnt(found, own if more is None else more, own)
        past = [s for s in (m.at(t) for m in self._past) if s is not None]
        if sum(len(s.gains) for s in past) >= MIN_PAST:
            found = better_of(found, regression(own, past, seed=self.seed))
        return found

    def _learnt(
        self, simple: FittedStage, first: TrainingRows, second: TrainingRows
    ) -> FittedStage:
        """Return the regression on the first rows that is better, else the simple stage."""
        found = better_of(simple, regression(first, [], seed=self.seed))
        if not found.predictors and second is not first:
            found = better_of(simple, regression(second, [], seed=self.seed))
        return found
