"""Expected improvement under a weighted ensemble of processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunekit.samplers.bayesian.acquisition import ExpectedImprovement
from tunekit_surrogates.tree_gp import TreeGP

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Blend:
    """Combines a study's own process with those of earlier studies.

    The mean is the weighted mean, the variance the sum of `weight^2 * variance`.

    Attributes:
        own: process of the study; only its data are replaced by draws.
        weight: weight of `own`.
        others: (weight, process) of earlier studies.

    Reference: Feurer et al., 2018, "Scalable meta-learning for Bayesian optimization using
    ranking-weighted Gaussian process ensembles", arXiv 1802.02219.
    """

    own: TreeGP
    weight: float
    others: tuple[tuple[float, TreeGP], ...]

    def predict_many(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Return `(k, m)` means for `k` alternative `(k, n)` own values, and `(m,)` variances."""
        mean, var = self.own.predict_many(x, y)
        mean, var = self.weight * mean, self.weight**2 * var
        for weight, gp in self.others:
            more, spread = gp.predict(x)
            mean, var = mean + weight * more, var + weight**2 * spread
        return mean, var

    def climber(self, x: Floats, y: Floats) -> BlendClimber:
        """Return a predictor with gradients for `(m, d)` rows that keep the branches of `x`."""
        return BlendClimber(self, x, y)


class BlendClimber:
    """Predicts with a blend, with gradients; see `Blend.climber`."""

    def __init__(self, blend: Blend, x: Floats, y: Floats) -> None:
        self._parts = [(blend.weight, blend.own.climber(x, y))]
        self._parts += [(w, gp.climber(x, gp.y[None, :])) for w, gp in blend.others]

    def predict(self, x: Floats) -> tuple[Floats, Floats, Callable[[Floats, Floats], Floats]]:
        """Return `(k, m)` means, `(m,)` variances, and a function that gives `(m, d)` `dL/dx`."""
        found = [(w, *part.predict(x)) for w, part in self._parts]
        mean = sum((w * m for w, m, _, _ in found[1:]), found[0][0] * found[0][1])
        var = sum((w * w * v for w, _, v, _ in found[1:]), found[0][0] ** 2 * found[0][2])

        def gradient(to_mean: Floats, to_var: Floats) -> Floats:
            total = to_mean.sum(axis=0, keepdims=True)  # the other means are the same in all draws
            slopes = [
                back((total if k else to_mean) * w, to_var * w * w)
                for k, (w, _, _, back) in enumerate(found)
            ]
            return np.asarray(np.sum(slopes, axis=0))

        return mean, var, gradient


class BlendedImprovement(ExpectedImprovement):
    """Scores rows by their expected improvement under the ensemble.

    Args:
        gp: the study's own process.
        pending: `(p, d)` rows whose values are not known yet.
        others: (weight, process) of earlier studies; `gp` has the remaining weight.
        noisy: number of best known rows whose values are uncertain.
        exploration: factor on the standard deviations.
        counts: `(n + p,)` flags of the known and pending rows that may be the best.
        rng: for the draws.
    """

    def __init__(
        self,
        gp: TreeGP,
        pending: Floats,
        *,
        others: Sequence[tuple[float, TreeGP]],
        noisy: int = 0,
        exploration: float = 1.0,
        counts: NDArray[np.bool_] | None = None,
        rng: np.random.Generator,
    ) -> None:
        super().__init__(gp, pending, noisy=noisy, exploration=exploration, counts=counts, rng=rng)
        kept = tuple((w, other) for w, other in others if w > 0)
        weight = 1.0 - sum(w for w, _ in kept)
        known = self._values.copy()
        if noisy:
            known[:, : len(gp.y)] = gp.predict(gp.x)[0]
        # Convert the best known value to the ensemble's scale.
        known *= weight
        for w, other in kept:
            known += w * other.predict(self.gp.x)[0]
        n, n_drawn = len(gp.y), known.shape[1] - len(gp.y) - len(pending)
        if counts is None:
            counts = np.ones(n + len(pending), dtype=bool)
        may_be_best = np.concatenate([counts[:n], np.ones(n_drawn, dtype=bool), counts[n:]])
        self.best = known[:, may_be_best].min(axis=1, keepdims=True)
        self.process = Blend(self.gp, weight, kept)
