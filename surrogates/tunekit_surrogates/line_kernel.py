"""Correlations of one coordinate as products of small matrices, without an exponential per pair.

With `r = u - v` the Matern 5/2 `f(r) = (1 + r + r^2 / 3) e^-r` is a polynomial in `v` times
`e^-u e^v`, thus a product of a matrix of three columns and one of three rows. The correlation is
`f(|r|)`, which is the lesser of `f(r)` and `f(-r)`: `e^2r (1 - r) <= 1 + r` for `r >= 0` says that
`f(-r) - f(r)` does not fall. The Gaussian trend is smooth over its wide length scale, so that its
Taylor series needs few terms.
"""

from __future__ import annotations

import numpy as np

from tunekit_surrogates.blocks import Floats

PRECISION = 1e-17
"""Size of the first term of the series that is left out."""

MAX_REACH = 2.0
"""Largest argument of the series; beyond it terms are many, and the exponential is as cheap."""


class LineKernel:
    """Computes the correlations of `tunekit_surrogates.block_kernel.correlation` on a line.

    Args:
        a: `(m,)` left coordinates, scaled.
        b: `(n,)` right coordinates, scaled.
        trend: share of the variance that is a Gaussian kernel.
        width: length scale of that kernel.
    """

    def __init__(self, a: Floats, b: Floats, *, trend: float, width: float) -> None:
        middle = 0.5 * (b.min() + b.max())
        self._a, self._b = a - middle, b - middle
        u, v = np.sqrt(5.0) * self._a, np.sqrt(5.0) * self._b
        self._falling = _matern(u, v, 1.0 - trend)
        self._rising = _matern(-u, -v, 1.0 - trend)
        self._trend, self._width = trend, width
        self._series = _gaussian(self._a / width, self._b / width, trend) if trend else None

    def rows(self, rows: slice) -> Floats:
        """Return `(r, n)` correlations of some of the left coordinates with the right ones."""
        own = self._falling[0][rows] @ self._falling[1]
        np.minimum(own, self._rising[0][rows] @ self._rising[1], out=own)
        if self._series is not None:
            own += self._series[0][rows] @ self._series[1]
        elif self._trend:
            apart = np.subtract.outer(self._a[rows], self._b) / self._width
            own += self._trend * np.exp(-0.5 * apart * apart)
        return np.asarray(own)


def _matern(u: Floats, v: Floats, share: float) -> tuple[Floats, Floats]:
    """Return `(m, 3)` and `(3, n)` factors of `share (1 + r + r^2 / 3) e^-r`, `r = u - v`."""
    fall, rise = share * np.exp(-u), np.exp(v)
    left, right = np.empty((len(u), 3)), np.empty((3, len(v)))
    left[:, 0] = (1.0 + u + u * u / 3.0) * fall
    left[:, 1] = (-1.0 - 2.0 / 3.0 * u) * fall
    left[:, 2] = fall / 3.0
    right[0] = rise
    right[1] = v * rise
    right[2] = v * right[1]
    return left, right


def _gaussian(u: Floats, v: Floats, share: float) -> tuple[Floats, Floats] | None:
    """Return `(m, k)` and `(k, n)` factors of `share e^(-(u - v)^2 / 2)`, `None` for a long way.

    It is `e^(-u^2 / 2) e^(-v^2 / 2) sum_k (u v)^k / k!`.
    """
    reach = float(np.abs(u).max() * np.abs(v).max())
    if reach > MAX_REACH:
        return None
    left, right = [share * np.exp(-0.5 * u * u)], [np.exp(-0.5 * v * v)]
    term = 1.0
    while term > PRECISION:
        k = len(left)
        term *= reach / k
        left.append(left[-1] * u / k)
        right.append(right[-1] * v)
    return np.array(left).T, np.array(right)
