"""Scores points by the expected improvement of one weighting of many objectives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfcx, log_ndtr, logsumexp

from tunekit.samplers.bayesian.candidates import Climb
from tunekit.samplers.bayesian.fantasies import Drawn, Predicted

RHO = 0.05
"""Weight of the sum that augments the largest weighted objective."""

N_NODES = 40
"""Nodes of the integral, evenly spaced in the logarithm of the distance to its upper end."""

NEAREST, REACH = 1e-3, 8.0
"""Distances of the first and last node from the upper end, in standard deviations."""

_Floats = NDArray[np.float64]


def chebyshev(y: _Floats, weights: _Floats) -> _Floats:
    """Return `(...)` augmented Chebyshev values of `(..., m)` losses.

    Reference: Knowles, 2006, "ParEGO: a hybrid algorithm with on-line landscape approximation",
    eq. 2.
    """
    weighted = y * weights
    return np.asarray(weighted.max(axis=-1) + RHO * weighted.sum(axis=-1))


class ChebyshevImprovement:
    """Scores rows by the logarithm of the expected improvement of a Chebyshev value.

    The maximum of independent normals lies below `t` with the product of their probabilities, so
    `E (best - max)+` is the integral of that product up to `best`: smooth, without sampling. The
    small augmenting sum is replaced by its mean.

    Args:
        processes: one per objective.
        best: `(k,)` lowest Chebyshev value in each draw.
        weights: `(m,)` positive weights of the objectives.
        ideal: `(m,)` losses that values are measured from.
    """

    def __init__(
        self, processes: Sequence[Drawn], best: _Floats, *, weights: _Floats, ideal: _Floats
    ) -> None:
        self.processes, self.best, self.weights, self.ideal = processes, best, weights, ideal

    def __call__(self, x: _Floats) -> _Floats:
        """Return `(r,)` logarithms of the expected improvement of `(r, d)` rows."""
        found = [p.predict(x) for p in self.processes]
        return self._value([f[0] for f in found], [f[1] for f in found])[0]

    def climber(self, rows: _Floats) -> Climb:
        """Return a score with `(r, d)` gradients for rows that keep these branches."""
        models = [p.climber(rows) for p in self.processes]
        return lambda x: self._with_gradient([model(x) for model in models], x)

    def _with_gradient(self, found: Sequence[Predicted], x: _Floats) -> tuple[_Floats, _Floats]:
        means, sds = [f[0] for f in found], [f[1] for f in found]
        value, z, share = self._value(means, sds)
        # z_j = (t - w_j (mean_j - ideal_j)) / (w_j sd_j) gives
        # d log Phi / d mean_j = -phi / (Phi sd_j) and d log Phi / dt = phi / (Phi w_j sd_j);
        # t moves with -RHO w_j mean_j through `end`.
        slopes = [share * _ratio(v) / sd for v, sd in zip(z, sds, strict=True)]
        to_end = np.sum([s / w for s, w in zip(slopes, self.weights, strict=True)], axis=(0, 1))
        gradient = np.zeros_like(x)
        for w, v, slope, (mean, _, back) in zip(self.weights, z, slopes, found, strict=True):
            to_mean = -slope.sum(axis=0) - RHO * w * to_end
            if len(mean) == 1:
                to_mean = to_mean.sum(axis=0, keepdims=True)
            gradient += back(to_mean, -(slope * v).sum(axis=(0, 1)))
        return value, gradient

    def _value(
        self, means: Sequence[_Floats], sds: Sequence[_Floats]
    ) -> tuple[_Floats, list[_Floats], _Floats]:
        """Return `(r,)` scores, `(q, k, r)` standardised nodes, and each node's share."""
        weighted = [
            w * (mean - i) for w, mean, i in zip(self.weights, means, self.ideal, strict=True)
        ]
        scale = np.max([w * sd for w, sd in zip(self.weights, sds, strict=True)], axis=0)
        end = self.best[:, None] - RHO * np.sum(weighted, axis=0)
        reach = np.maximum(end - np.max(weighted, axis=0), 0.0) + REACH * scale
        nearest = np.log(NEAREST * scale)
        steps = np.linspace(0.0, 1.0, N_NODES)[:, None, None]
        log_distance = nearest + steps * (np.log(reach) - nearest)
        # int_(-inf)^end prod_j Phi(z_j(t)) dt with t = end - e^s, dt = -e^s ds: nodes that are
        # evenly spaced in s are densest near the end, where the integrand may fall fast.
        t = end - np.exp(log_distance)
        z = [(t - v) / (w * sd) for w, v, sd in zip(self.weights, weighted, sds, strict=True)]
        width = (np.log(reach) - nearest) / (N_NODES - 1)
        logs = np.sum([log_ndtr(v) for v in z], axis=0) + log_distance + np.log(width)
        total = logsumexp(logs, axis=(0, 1))
        share = np.exp(logs - total)
        return np.asarray(total - np.log(logs.shape[1])), z, share


def _ratio(z: _Floats) -> _Floats:
    """Return `phi(z) / Phi(z)`, also where both underflow: there it is nearly `-z`."""
    return np.asarray(np.sqrt(2.0 / np.pi) / erfcx(-z / np.sqrt(2.0)))
