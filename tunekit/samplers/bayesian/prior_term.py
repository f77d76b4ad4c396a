"""Adds the priors of a user to the score of rows."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy

import numpy as np
from numpy.typing import NDArray

from tunekit.samplers.bayesian.candidates import Climb
from tunekit.samplers.bayesian.densities import PriorDensity
from tunekit.spaces.encode import Encoder


class PriorTerm:
    """Adds the priors to the score of rows: `(strength / n) * log prior`.

    Args:
        encoder: of the space.
        densities: path -> prior density.
        exponent: `strength / n` after n trials.

    Reference: Hvarfner et al., 2022, "PiBO: augmenting acquisition functions with user beliefs
    for Bayesian optimization".
    """

    name = "prior"

    def __init__(
        self, encoder: Encoder, densities: Mapping[str, PriorDensity], *, exponent: float
    ) -> None:
        columns = {c.path: j for j, c in enumerate(encoder.columns)}
        self._terms = [(columns[path], exponent, d) for path, d in densities.items()]
        self.exponent = exponent

    def joined(self, other: PriorTerm) -> PriorTerm:
        """Return this term with another one's densities of parameters that it has none of."""
        both, own = copy(self), {column for column, _, _ in self._terms}
        both._terms = [*self._terms, *(t for t in other._terms if t[0] not in own)]
        return both

    def log_probability(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return `(m,)` weighted logarithms of the prior density of `(m, d)` rows."""
        return self._with_gradient(x)[0]

    def climber(self, rows: NDArray[np.float64]) -> Climb:
        """Return the same with `(m, d)` gradients, which are 0 except for active numbers."""
        return self._with_gradient

    def _with_gradient(
        self, x: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        value, gradient = np.zeros(len(x)), np.zeros(x.shape)
        for j, exponent, density in self._terms:
            active = ~np.isnan(x[:, j])
            log, slope = density.log_and_slope(x[active, j])
            value[active] += exponent * log
            gradient[active, j] = exponent * slope
        return value, gradient
