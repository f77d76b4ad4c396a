"""The distributions of final values that a prediction gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tunekit_surrogates.curves.conformal import Residuals
from tunekit_surrogates.curves.scale import Floats, Scale


@dataclass(frozen=True, slots=True)
class Forecast:
    """Distributions of final values, one for each requested run.

    Attributes:
        centre: `(m,)` expected final values, `inf` for a run expected to diverge.
        diverging: `(m,)` probabilities that the run diverges.
        model: names and weights of the models, such as `"trees 0.6 + svr 0.3"`.
        fallback: why no model but the last value predicts; empty if one does.
        n_curves: complete runs of this study used for training.
        with_past: whether runs of earlier studies were used as well.
        n_judged: held-out runs that shape the distribution, earlier studies included.
        mapped: `(m,)` expected final values on the common scale, finite.
        sizes: `(m,)` typical sizes of the error on the common scale.
    """

    centre: Floats
    diverging: Floats
    model: str
    fallback: str
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
