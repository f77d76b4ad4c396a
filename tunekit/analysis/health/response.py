"""A Bayesian additive model of results over parameters, small enough to refit at each look.

Each parameter adds a smooth function of its unit coordinate (Legendre polynomials, whose prior
variance falls with their degree) or an effect of each choice; an inactive parameter adds nothing.
How much each parameter adds is learnt from the data. Estimates thus hold the other parameters
fixed, also where an adaptive sampler has moved several of them together.

Reference: Wahba, 1990, "Spline models for observational data" (additive models as Bayesian
estimates); Tipping, 2001, "Sparse Bayesian learning", eq. 16-18 (the shares of the parameters).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tunekit.spaces.encode import Column

if TYPE_CHECKING:
    from numpy.typing import NDArray

    _Floats = NDArray[np.float64]

DEGREE_SDS = (1.0, 0.6, 0.35, 0.2)
"""Prior standard deviations of the polynomials of degree 1, 2, 3 and 4."""

NOISES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
"""Tried variances of the noise; the results have variance 1."""

PASSES = 4
"""Updates of the parameters' shares."""

LEAST_SHARE = 1e-4


@dataclass(frozen=True, slots=True)
class LossDifference:
    """The estimated change of the standardised loss between two places of one parameter.

    Attributes:
        mean, sd: of its posterior.
    """

    mean: float
    sd: float


class Response:
    """The posterior given `(n, d)` unit coordinates, NaN where inactive, and `(n,)` losses.

    Args:
        columns: `d` descriptions of the coordinates.
        units: the points.
        y: losses of mean 0 and variance 1.
    """

    def __init__(self, columns: Sequence[Column], units: _Floats, y: _Floats) -> None:
        self._columns = columns
        parts = [basis(c, units[:, j]) for j, c in enumerate(columns)]
        self._parts = [p - p.mean(axis=0) for p in parts]
        self._y = y
        shares = np.full(len(columns), 1.0 / max(1, len(columns)))
        for _ in range(PASSES):
            self._fit(shares)
            energy = np.array([self._energy(j, shares[j]) for j in range(len(columns))])
            shares = np.maximum(energy, LEAST_SHARE)
        self._fit(shares)
        self._shares = shares

    def step(self, j: int, start: float, end: float) -> LossDifference:
        """Return the change of the loss when parameter `j` goes from one place to another."""
        places = basis(self._columns[j], np.array([start, end]))
        change = (places[1] - places[0]) * self._shares[j]
        toward = self._parts[j] @ change
        prior = float(change @ (places[1] - places[0]))
        var = prior - float(toward @ self._inverse @ toward)
        return LossDifference(float(toward @ self._alpha), float(np.sqrt(max(var, 1e-12))))

    def _fit(self, shares: _Floats) -> None:
        """Set the posterior for these shares and the noise of the largest evidence."""
        n = len(self._y)
        gram = np.zeros((n, n))
        scaled = [p * np.sqrt(s) for p, s in zip(self._parts, shares, strict=True)]
        if scaled:
            features = np.hstack(scaled)
            gram = features @ features.T
        values, vectors = np.linalg.eigh(gram)
        values = np.maximum(values, 0.0)
        turned = vectors.T @ self._y
        evidence = [
            -0.5 * float(np.sum(turned**2 / (values + s)) + np.sum(np.log(values + s)))
            for s in NOISES
        ]
        spread = values + NOISES[int(np.argmax(evidence))]
        self._inverse = (vectors / spread) @ vectors.T
        self._alpha = self._inverse @ self._y

    def _energy(self, j: int, share: float) -> float:
        """Return the updated prior variance of a parameter: its mean effect and what is unsure."""
        part = self._parts[j]
        if not part.shape[1]:
            return 0.0
        mean = share * (part.T @ self._alpha)
        known = share * np.einsum("ij,ij->j", part, self._inverse @ part)
        return share * float(np.mean(mean**2 / share + (1.0 - known)))


def basis(column: Column, units: _Floats) -> _Floats:
    """Return `(n, k)` features of unit coordinates; zeros where inactive."""
    active = ~np.isnan(units)
    u = np.where(active, units, 0.5)
    if column.kind == "categorical":
        n = int(column.size)
        places = np.minimum((u * n).astype(np.int64), n - 1)
        out = np.zeros((len(u), n))
        out[np.arange(len(u)), places] = 1.0
    else:
        x = 2.0 * u - 1.0
        out = np.stack(
            [
                x * DEGREE_SDS[0],
                (3 * x**2 - 1) / 2 * DEGREE_SDS[1],
                (5 * x**3 - 3 * x) / 2 * DEGREE_SDS[2],
                (35 * x**4 - 30 * x**2 + 3) / 8 * DEGREE_SDS[3],
            ],
            axis=1,
        )
    return out * active[:, None]


def normal_scores(losses: _Floats) -> _Floats:
    """Return `(n,)` normal scores of the ranks; equal losses get the same, infinite the worst."""
    from scipy.special import ndtri

    _, inverse, counts = np.unique(losses, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = (last - (counts - 1) / 2.0)[inverse]
    scores = ndtri((ranks - 0.5) / len(losses))
    sd = scores.std()
    return np.asarray((scores - scores.mean()) / (sd if sd > 0.0 else 1.0))
