"""How fast the loss grows beside the optimum, in learning rate and batch size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tunekit_surrogates.scaling.arrays import Floats

STEEPEST = 6.0
"""Exponent up to which a side of the bowl grows exponentially; beyond it grows linearly."""


@dataclass(frozen=True, slots=True)
class Bowl:
    """The excess of ln L over the optimum, a convex function with its minimum 0 at the origin.

    It is `sum_j exp(c_j) * (exp(z_j) - 1 - z_j)` with `z_j = a_j u + b_j v`, `u = ln(lr / lr*)`
    and `v = ln(bs / bs*)`: each term is a parabola near the origin that one side leaves upwards,
    such as the instability of high rates or the noise of small batches.

    Attributes:
        terms: `(j, 3)` rows of `c, a, b`.
    """

    terms: Floats

    def excess(self, u: ArrayLike, v: ArrayLike) -> Floats:
        """Return the relative loss excess at distances from the optimum."""
        return np.asarray(np.expm1(self.log_excess(np.asarray(u), np.asarray(v))[0]), dtype=float)

    def log_excess(self, u: Floats, v: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """Return the excess of ln L and its derivatives.

        Returns:
            The excess, its derivatives by u and by v, and those by the terms in a last axis of
            size `3 j`.
        """
        c, a, b = self.terms.T
        u, v = np.asarray(u, dtype=float)[..., None], np.asarray(v, dtype=float)[..., None]
        z = a * u + b * v
        inside = np.clip(z, -40.0, STEEPEST)
        growth = np.expm1(inside)
        scale = np.exp(c)
        value = scale * (growth - inside + growth * (z - inside))
        slope = scale * growth
        by_terms = np.stack([value, slope * u, slope * v], axis=-1)
        return (
            value.sum(axis=-1),
            (slope * a).sum(axis=-1),
            (slope * b).sum(axis=-1),
            by_terms.reshape(*by_terms.shape[:-2], -1),
        )

    @property
    def hessian(self) -> Floats:
        """`(2, 2)` curvature of ln L at the optimum."""
        c, a, b = self.terms.T
        w = np.stack([a, b])
        return np.asarray((w * np.exp(c)) @ w.T, dtype=float)

    @property
    def lr_bs(self) -> float:
        """Exponent of the batch size in the best learning rate for a batch near the best."""
        curved = self.hessian
        return float(-curved[0, 1] / curved[0, 0])

    def lr_bs_gradient(self) -> tuple[float, Floats]:
        """Return `lr_bs` and its derivatives by the terms, flattened."""
        c, a, b = self.terms.T
        scale = np.exp(c)
        mixed, curved = np.sum(scale * a * b), np.sum(scale * a * a)
        slope = -mixed / curved
        by_mixed = scale * np.stack([a * b, b, a])
        by_curved = scale * np.stack([a * a, 2.0 * a, np.zeros_like(a)])
        return float(slope), ((-by_mixed - slope * by_curved) / curved).T.ravel()

    def best_u(self, v: float) -> float:
        """Return the `u` of the best learning rate for a batch at distance `v`."""
        low, high = -12.0, 12.0
        at = np.asarray(v)
        for _ in range(60):
            middle = 0.5 * (low + high)
            if self.log_excess(np.asarray(middle), at)[1] < 0.0:
                low = middle
            else:
                high = middle
        return 0.5 * (low + high)

    def to_dict(self) -> dict[str, Any]:
        """Return the shape as plain lists for JSON."""
        return {"terms": self.terms.tolist()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Bowl:
        """Return the shape that `to_dict` wrote."""
        return cls(np.asarray(values["terms"], dtype=float))
