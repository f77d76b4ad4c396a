"""Scores points by the logarithm of their expected improvement, with pending trials."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfcx, log_ndtr, logsumexp, ndtr

from tunekit.samplers.bayesian.candidates import Climb
from tunekit_surrogates.tree_gp import TreeGP

N_FANTASIES = 64
"""Joint draws of the pending trials' results; with 16, batches of 8 were clearly worse."""


def log_improvement(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return `(...)` values of `log(phi(z) + z Phi(z))`, accurate even far below 0.

    Reference: Ament et al., 2023, "Unexpected improvements to expected improvement", eq. 9.
    """
    near = np.maximum(z, -1.0)
    direct = np.log(_density(near) + near * ndtr(near))
    far = np.minimum(z, -1.0)
    # phi + z Phi = phi (1 - |z| sqrt(pi/2) erfcx(|z|/sqrt 2)), which tends to phi / z^2.
    ratio = np.sqrt(np.pi / 2) * erfcx(-far / np.sqrt(2.0)) * -far
    rest = np.where(far > -1e4, np.log1p(-np.minimum(ratio, 1.0 - 1e-16)), -2.0 * np.log(-far))
    return np.asarray(np.where(z > -1.0, direct, log_density(far) + rest))


def _log_sum(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return `(m,)` logarithms of the sums of the exponentials of `(k, m)` scores."""
    return np.asarray(scores[0] if len(scores) == 1 else logsumexp(scores, axis=0))


def _density(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return `(...)` values of the standard normal density."""
    return np.asarray(np.exp(log_density(z)))


def log_density(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return `(...)` logarithms of the standard normal density."""
    return np.asarray(-0.5 * z * z - 0.5 * np.log(2 * np.pi))


class Predicts(Protocol):
    """Predicts rows that keep their branches; see `tunekit_surrogates.tree_gp.Climber`."""

    def predict(
        self, x: NDArray[np.float64]
    ) -> tuple[
        NDArray[np.float64],
        NDArray[np.float64],
        Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]],
    ]:
        """Return `(k, m)` means, `(m,)` variances, and a function that gives `(m, d)` `dL/dx`."""
        ...


class Process(Protocol):
    """The process that predicts the objective; see `tunekit_surrogates.tree_gp.TreeGP`."""

    def predict_many(
        self, x: NDArray[np.float64], y: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return `(k, m)` means for `k` alternative `(k, n)` data values, and `(m,)` variances."""
        ...

    def climber(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> Predicts:
        """Return a predictor with gradients for `(m, d)` rows that keep the branches of `x`."""
        ...


class ExpectedImprovement:
    """Scores rows by their expected improvement, averaged over noise and pending results.

    Values at the pending rows, and with noisy data also the noise-free values at the best known
    rows, are drawn jointly. Each draw has its own process and best value, and the improvements
    are averaged over the draws.

    Args:
        gp: fitted to standardised losses.
        pending: `(p, d)` rows whose values are not known yet.
        noisy: number of best known rows whose values are uncertain.
        exploration: factor on the standard deviations; below 1 the search stays near the data.
        counts: `(n + p,)` flags of the known and pending rows that may be the best, the
            feasible ones; at least one known row.
        rng: for the draws.

    Reference: Letham et al., 2019, "Constrained Bayesian optimization with noisy experiments",
    section 3.
    """

    def __init__(
        self,
        gp: TreeGP,
        pending: NDArray[np.float64],
        *,
        noisy: int = 0,
        exploration: float = 1.0,
        counts: NDArray[np.bool_] | None = None,
        rng: np.random.Generator,
    ) -> None:
        n, n_pending = len(gp.y), len(pending)
        counts = np.ones(n + n_pending, dtype=bool) if counts is None else counts
        at_data = np.where(counts[:n], gp.predict(gp.x)[0] if noisy else gp.y, np.inf)
        drawn = np.argsort(at_data)[: min(noisy, int(counts[:n].sum()))]
        uncertain = np.concatenate([gp.x[drawn], pending])
        self.gp = gp
        self._values = gp.y[None, :]
        self._exploration = exploration
        self.best = np.array([[at_data.min()]])
        if len(uncertain):
            mean, cov = gp.joint(uncertain)
            draws = joint_draws(mean, cov, rng, N_FANTASIES)
            self.gp = gp.with_data(uncertain, mean, noise=0.0)
            known = np.broadcast_to(gp.y, (len(draws), len(gp.y)))
            self._values = np.concatenate([known, draws], axis=1)
            floor = np.inf if len(drawn) else at_data.min()
            best = np.concatenate([np.ones(len(drawn), dtype=bool), counts[n:]])
            self.best = draws.min(axis=1, where=best, initial=floor)[:, None]
        self.process: Process = self.gp

    def __call__(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return `(m,)` logarithms of the expected improvement of `(m, d)` rows."""
        mean, var = self.process.predict_many(x, self._values)
        sd = self._exploration * np.sqrt(var)
        scores = log_improvement((self.best - mean) / sd) + np.log(sd)
        return np.asarray(_log_sum(scores) - np.log(len(scores)))

    def climber(self, rows: NDArray[np.float64]) -> Climb:
        """Return a score with `(m, d)` gradients for rows that keep these branches."""
        model = self.process.climber(rows, self._values)
        return lambda x: self._with_gradient(model, x)

    def _with_gradient(
        self, model: Predicts, x: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return `(m,)` scores of `(m, d)` rows, and their `(m, d)` gradients."""
        mean, var, back = model.predict(x)
        sd = self._exploration * np.sqrt(var)
        z = (self.best - mean) / sd
        log_h = log_improvement(z)
        scores = log_h + np.log(sd)
        total = _log_sum(scores)
        share = np.exp(scores - total)
        # With h(z) = phi(z) + z Phi(z): h' = Phi, so d log(sd h) / d mean = -Phi / (h sd) and
        # d log(sd h) / d sd = 1 / sd - z Phi / (h sd) = phi / (h sd).
        to_mean = -share * np.exp(log_ndtr(z) - log_h) / sd
        to_sd = np.sum(share * np.exp(log_density(z) - log_h), axis=0) / sd
        return total - np.log(len(scores)), back(
            to_mean, to_sd * self._exploration**2 / (2.0 * sd)
        )


def joint_draws(
    mean: NDArray[np.float64], cov: NDArray[np.float64], rng: np.random.Generator, n: int
) -> NDArray[np.float64]:
    """Return `(n, p)` draws of a normal with `(p,)` mean and `(p, p)` covariance; `n` is even."""
    # R R^T = cov for R = V diag(sqrt w), from cov = V diag(w) V^T; rounding may make w < 0
    values, vectors = np.linalg.eigh(cov)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    half = rng.standard_normal((n // 2, len(mean)))
    z = np.concatenate([half, -half])  # antithetic pairs make the mean exact
    return np.asarray(mean + z @ root.T)
