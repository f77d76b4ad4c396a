"""Processes of the objectives, with joint draws of uncertain values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tunekit.samplers.bayesian.acquisition import joint_draws
from tunekit_surrogates.tree_gp import TreeGP

_Floats: TypeAlias = NDArray[np.float64]

Predicted: TypeAlias = tuple[_Floats, _Floats, Callable[[_Floats, _Floats], _Floats]]
"""`(k, r)` means, `(r,)` standard deviations, and a function from their derivatives to `dL/dx`."""

Predict: TypeAlias = Callable[[_Floats], Predicted]


def believed(gp: TreeGP, pending: _Floats) -> TreeGP:
    """Return the process as if the `(p, d)` pending rows had given the values that it predicts.

    Reference: Ginsbourger, Le Riche and Carraro, 2010, "Kriging is well-suited to parallelize
    optimization", section 4.2, the kriging believer.
    """
    return gp.with_data(pending, gp.predict(pending)[0], noise=0.0)


@dataclass(frozen=True, slots=True)
class Drawn:
    """An objective's process, conditioned on each draw of its uncertain values.

    Attributes:
        gp: process over the data and the uncertain rows.
        values: `(k, n)` values of all its rows in each draw.
        at_uncertain: `(k, u)` drawn values of the uncertain rows.
    """

    gp: TreeGP
    values: NDArray[np.float64]
    at_uncertain: NDArray[np.float64]

    @classmethod
    def of(
        cls, gp: TreeGP, uncertain: NDArray[np.float64], rng: np.random.Generator, n_draws: int
    ) -> Drawn:
        """Return the process with `n_draws` joint draws at `(u, d)` rows; one draw if `u` is 0."""
        if not len(uncertain):
            return cls(gp, gp.y[None, :], np.empty((1, 0)))
        mean, cov = gp.joint(uncertain)
        draws = joint_draws(mean, cov, rng, n_draws)
        known = np.broadcast_to(gp.y, (n_draws, len(gp.y)))
        wider = gp.with_data(uncertain, mean, noise=0.0)
        return cls(wider, np.concatenate([known, draws], axis=1), draws)

    def predict(self, x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return `(k, r)` means and `(r,)` standard deviations at `(r, d)` rows."""
        mean, var = self.gp.predict_many(x, self.values)
        return mean, np.sqrt(var)

    def climber(self, rows: NDArray[np.float64]) -> Predict:
        """Return a predictor with gradients for `(m, d)` rows that keep these branches."""
        model = self.gp.climber(rows, self.values)

        def predict(x: NDArray[np.float64]) -> Predicted:
            mean, var, back = model.predict(x)
            sd = np.sqrt(var)
            return mean, sd, lambda to_mean, to_sd: back(to_mean, to_sd / (2.0 * sd))

        return predict
