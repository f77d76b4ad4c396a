"""How much a point promises: the logarithm of the expected improvement, with pending trials."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfcx, log_ndtr, logsumexp, ndtr

from tunekit.samplers.bayesian.candidates import Climb
from tunekit_surrogates.tree_gp import TreeGP

N_FANTASIES = 64
"""Joint draws of what the pending trials may give; with 16 batches of 8 were clearly worse."""


def log_improvement(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return `log(phi(z) + z Phi(z))`, exact also far below 0.

    Reference: Ament et al., 2023, "Unexpected improvements to expected improvement", eq. 9.
    """
    near = np.maximum(z, -1.0)
    direct = np.log(_density(near) + near * ndtr(near))
    far = np.minimum(z, -1.0)
    # phi + z Phi = phi (1 - |z| sqrt(pi/2) erfcx(|z|/sqrt 2)), which tends to phi / z^2.
    ratio = np.sqrt(np.pi / 2) * erfcx(-far / np.sqrt(2.0)) * -far
    rest = np.where(far > -1e4, np.log1p(-np.minimum(ratio, 1.0 - 1e-16)), -2.0 * np.log(-far))
    return np.asarray(np.where(z > -1.0, direct, log_density(far) + rest))


def _density(z: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.exp(log_density(z)))


def log_density(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logarithms of the standard normal density."""
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
        """Return `(k, m)` means, `(m,)` variances, and what gives `(m, d)` `dL/dx`."""
        ...


class Process(Protocol):
    """What an improvement is expected under; see `tunekit_surrogates.tree_gp.TreeGP`."""

    def predict_many(
        self, x: NDArray[np.float64], y: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return `(k, m)` means for each of `(k, n)` values of the data, and `(m,)` variances."""
        ...

    def climber(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> Predicts:
        """Return what predicts rows with gradients, from these rows on."""
        ...


class ExpectedImprovement:
    """Scores rows by what they are expected to improve, over noise and over pending trials.

    The noise-free values at the pending rows, and where the data are noisy also at the best
    known rows, are drawn jointly; each draw gives a process and a best value of its own, and the
    improvements are averaged.

    Args:
        gp: fitted to standardised losses.
        pending: `(p, d)` rows whose values are not known yet.
        noisy: how many of the best known rows have an uncertain value.
        exploration: factor of the standard deviations; below 1 it stays nearer to what is known.
        counts: `(n + p,)` which known and pending rows may be the best: the feasible ones; at
            least one known row.
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
        """Return `(m,)` logarithms of the expected improvement of rows."""
        mean, var = self.process.predict_many(x, self._values)
        sd = self._exploration * np.sqrt(var)
        scores = log_improvement((self.best - mean) / sd) + np.log(sd)
        return np.asarray(logsumexp(scores, axis=0) - np.log(len(scores)))

    def climber(self, rows: NDArray[np.float64]) -> Climb:
        """Return what scores rows in the branches of these, with `(m, d)` gradients."""
        model = self.process.climber(rows, self._values)
        return lambda x: self._with_gradient(model, x)

    def _with_gradient(
        self, model: Predicts, x: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        mean, var, back = model.predict(x)
        sd = self._exploration * np.sqrt(var)
        z = (self.best - mean) / sd
        log_h = log_improvement(z)
        scores = log_h + np.log(sd)
        total = logsumexp(scores, axis=0)
        share = np.exp(scores - total)
        to_mean = -share * np.exp(log_ndtr(z) - log_h) / sd
        to_sd = np.sum(share * np.exp(log_density(z) - log_h), axis=0) / sd
        return total - np.log(len(scores)), back(
            to_mean, to_sd * self._exploration**2 / (2.0 * sd)
        )


def joint_draws(
    mean: NDArray[np.float64], cov: NDArray[np.float64], rng: np.random.Generator, n: int
) -> NDArray[np.float64]:
    """Return `(n, p)` draws of a joint normal, for an even `n`."""
    values, vectors = np.linalg.eigh(cov)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    half = rng.standard_normal((n // 2, len(mean)))
    z = np.concatenate([half, -half])  # antithetic: their mean is exact
    return np.asarray(mean + z @ root.T)
