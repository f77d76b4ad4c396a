"""Turns held-out residuals into a distribution: narrow for easy runs, wide for difficult ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr

from tunekit_surrogates.curves.scale import Floats

TAIL_DEGREES = 4.0
"""Degrees of freedom of Student's t in the tails."""

MIN_SIZE = 1e-4
RIDGE = 3.0
"""Shrinkage of the sizes towards one common size, counted in rows."""

_GRID = np.sinh(np.linspace(-7.0, 7.0, 701)) / 20.0
"""Grid from -27 to 27 typical residuals, `(701,)`, finest around 0."""


@dataclass(frozen=True, slots=True)
class Residuals:
    """Distribution of a prediction's error, given the difficulty of its row.

    Normalised split-conformal prediction: each held-out residual is divided by the typical size
    for rows of its difficulty. The distribution is that of the quotients, smoothed. One part in
    n + 1 is a wide Student's t, because n residuals cannot exclude an error beyond them all.

    Attributes:
        coefficients: of the regression of log size on log difficulty: constant, floor, slopes.
        centre, spread: `(k,)` values that standardise the log difficulty.
        cumulative: `(701,)` distribution function of the quotients on a fixed grid.

    Reference:
        H. Papadopoulos, A. Gammerman and V. Vovk, 2008, "Normalized nonconformity measures for
        regression conformal prediction"; J. Lei et al., 2018, "Distribution-free predictive
        inference for regression", section 5.2.
    """

    coefficients: Floats
    centre: Floats
    spread: Floats
    cumulative: Floats

    @classmethod
    def fit(cls, residuals: Floats, difficulty: Floats) -> Residuals:
        """Return the distribution for `(n,)` residuals and the `(n, k)` difficulty of their rows.

        Each difficulty column is non-negative and tends to grow with the residual.
        """
        n = len(residuals)
        floor = max(MIN_SIZE, 0.05 * float(np.abs(residuals).mean()))
        logs = np.log(np.abs(residuals) + floor)
        raw = np.log(difficulty + floor)
        centre, spread = raw.mean(axis=0), raw.std(axis=0) + 1e-9
        z = np.clip((raw - centre) / spread, -3.0, 3.0)
        slopes = np.linalg.solve(z.T @ z + RIDGE * np.eye(z.shape[1]), z.T @ (logs - logs.mean()))
        coefficients = np.concatenate([[logs.mean(), floor], np.maximum(slopes, 0.0)])
        bare = cls(coefficients, centre, spread, np.empty(0))
        quotients = residuals / bare.sizes(difficulty)
        middle = float(np.quantile(np.abs(quotients), 0.68)) + 1e-9
        width = 0.5 * middle * n**-0.4
        kernels = stdtr(TAIL_DEGREES, (_GRID[:, None] - quotients) / width).sum(axis=1)
        wide = stdtr(TAIL_DEGREES, _GRID / (2.0 * middle))
        return cls(coefficients, centre, spread, (kernels + wide) / (n + 1))

    def sizes(self, difficulty: Floats) -> Floats:
        """Return the `(m,)` typical sizes of residuals for `(m, k)` difficulty."""
        level, floor, *slopes = self.coefficients
        z = (np.log(difficulty + floor) - self.centre) / self.spread
        out: Floats = np.exp(level + np.clip(z, -3.0, 3.0) @ np.asarray(slopes))
        return out

    def below(self, distances: Floats, sizes: Floats) -> Floats:
        """Return `(m,)` probabilities of residuals below `(m,)` distances, given `(m,)` sizes."""
        return np.interp(distances / sizes, _GRID, self.cumulative)

    def quantile(self, chances: Floats, sizes: Floats) -> Floats:
        """Return `(m,)` quantiles, at `(m,)` probabilities, of residuals of `(m,)` sizes."""
        return np.interp(chances, self.cumulative, _GRID) * sizes
