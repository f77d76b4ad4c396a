"""Finds the mode of the joint surface: robust, with weights that follow the excess."""

from __future__ import annotations

import numpy as np

from tunekit_surrogates.scaling.arrays import Floats, Mask
from tunekit_surrogates.scaling.priors import Priors
from tunekit_surrogates.scaling.surface_model import Parts, SurfaceModel

FAR = (30.0, 0.04, 0.4)
"""Excess of ln L beyond which only the side of the bowl counts, as it does for diverged runs: a
multiple of the noise, its smallest and its largest value."""

NEAR = (3.0, 0.01)
"""Excess up to which runs tell the noise: a multiple of it, and at least this."""

MISFIT = 0.3
"""Error of the shape of the bowl, as a share of the excess: runs near the optimum count most."""

NOISE = (2e-4, 0.005, 0.03)
"""Smallest, first and largest noise of ln L between runs."""

ROBUST = 2.0
"""Standard deviations beyond which a run's error grows linearly."""

N_STEPS = 60


class LevenbergMarquardt:
    """Levenberg-Marquardt steps to the mode, with weights that follow the excess.

    Attributes:
        noise: the noise of ln L between runs near the optimum, learned on the way.
    """

    def __init__(self, model: SurfaceModel, priors: Priors) -> None:
        """Start from the prior means of the model."""
        self._model = model
        self._lr_bs = priors.lr_bs
        self._finite = np.isfinite(model.y)
        self._y = np.where(self._finite, model.y, 0.0)
        self.noise = NOISE[1]
        self._limit = float(np.clip(FAR[0] * self.noise, FAR[1], FAR[2]))
        lowest = np.full(model.cell.max() + 1, np.inf)
        np.minimum.at(lowest, model.cell, model.y)
        self._best = np.where(model.own_base >= 0, lowest[model.cell], np.nan)

    def run(self) -> tuple[Floats, Floats]:
        """Return the mode and the posterior covariance."""
        p: Floats = self._model.start.copy()
        damping = 1e-2
        for step in range(N_STEPS):
            parts = self._model.parts(p)
            far, sd = self._weights(parts)
            residual, by = self._residual(p, parts, far, sd)
            gradient = by.T @ self._influence(residual)
            weight = 1.0 / np.sqrt(1.0 + (residual / ROBUST) ** 2)
            weight[len(self._y) :] = 1.0
            curved = (by.T * weight) @ by
            now = self._error(residual)
            for _ in range(12):
                damped = curved + damping * np.diag(np.diag(curved))
                move = -np.linalg.solve(damped, gradient)
                if self._error(self._residual(p + move, None, far, sd)[0]) <= now + 1e-9:
                    damping = max(damping / 6.0, 1e-8)
                    break
                damping *= 8.0
            else:
                break
            p = np.asarray(p + move, dtype=float)
            self._learn_noise(parts, far, sd, step)
            sds = np.sqrt(np.diag(np.linalg.inv(curved)))
            if step > 8 and np.abs(move / sds).max() < 0.01:
                break
        return p, np.asarray(np.linalg.inv(curved), dtype=float)

    def _weights(self, parts: Parts) -> tuple[Mask, Floats]:
        """Return which runs are far from the optimum, and the error expected of each run.

        Far is far above the best run of the cell or, for a run alone, above the law of the loss.
        """
        seen = np.where(self._finite, self._y - parts.base, np.inf)
        above = np.where(np.isnan(self._best), seen, self._model.y - self._best)
        far = ~self._finite | (above > self._limit)
        excess = np.clip(np.minimum(parts.excess, seen), 0.0, self._limit)
        sd = np.hypot(self.noise, MISFIT * excess)
        return far, np.where(far, MISFIT * self._limit, sd)

    def _residual(
        self, p: Floats, parts: Parts | None, far: Mask, sd: Floats
    ) -> tuple[Floats, Floats]:
        """Return standardised residuals of runs and priors, and their derivatives.

        A run that is far from the optimum is only asked to be far in the model, too.
        """
        model = self._model
        parts = parts or model.parts(p)
        short = far & (parts.excess < self._limit)
        residual = np.where(far, parts.excess - self._limit, parts.excess + parts.base - self._y)
        residual[far & ~short] = 0.0
        by = parts.by_excess + np.where(far, 0.0, 1.0)[:, None] * parts.by_base
        by[far & ~short] = 0.0
        slope, by_slope = model.bowl(p).lr_bs_gradient()
        by_prior = np.zeros((1, len(p)))
        by_prior[0, model.slices["bowl"]] = by_slope / self._lr_bs.sd
        prior = (p - model.prior_mean) / model.prior_sd
        on_slope = [(slope - self._lr_bs.mean) / self._lr_bs.sd]
        every = np.concatenate([residual / sd, prior, on_slope])
        by_all = np.vstack([by / sd[:, None], np.diag(1.0 / model.prior_sd), by_prior])
        return np.asarray(every, dtype=float), np.asarray(by_all, dtype=float)

    def _influence(self, residual: Floats) -> Floats:
        """Return the derivative of the error by each residual."""
        influence = residual.copy()
        k = len(self._y)
        influence[:k] /= np.sqrt(1.0 + (residual[:k] / ROBUST) ** 2)
        return influence

    def _error(self, residual: Floats) -> float:
        k = len(self._y)
        runs = ROBUST**2 * (np.sqrt(1.0 + (residual[:k] / ROBUST) ** 2) - 1.0)
        return float(runs.sum() + 0.5 * (residual[k:] ** 2).sum())

    def _learn_noise(self, parts: Parts, far: Mask, sd: Floats, step: int) -> None:
        """Move the noise to the spread of the runs near the optimum."""
        near = ~far & (parts.excess < max(NEAR[0] * self.noise, NEAR[1]))
        if step > 3 and near.sum() > 10:
            off = np.abs(self._y - parts.base - parts.excess)
            spread = float(1.48 * np.median(off[near]))
            self.noise = 0.5 * (self.noise + float(np.clip(spread, NOISE[0], NOISE[2])))
            self._limit = float(np.clip(FAR[0] * self.noise, FAR[1], FAR[2]))
