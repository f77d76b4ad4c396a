"""The block kernel: a sum over the blocks that are active in both of two points.

`k = s * sum_b w_b 1[b active in both] own_b h_b`, with `own_b` a trend and a Matern 5/2 over the
block's own columns, `h_b = 1` for a root and else `(1 - c) + c own_parent(b)`: what a branch does
may change with the parameters beside its switch. A sum of products of kernels is a kernel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from tunekit_surrogates.blocks import BlockStructure, Embedding, Floats

WIDTH = 8.0
"""Length scale of the trend, in those of the rest."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """The logarithms of the kernel's parameters.

    Attributes:
        lengths: `(d,)` length scale of each column.
        weights: `(b,)` share of each block.
        scale: of the whole.
        coupling: logit of `c`.
        noise: variance of the noise.
    """

    lengths: Floats
    weights: Floats
    scale: float
    coupling: float
    noise: float

    def to_array(self) -> Floats:
        """Return all as one vector."""
        rest = [self.scale, self.coupling, self.noise]
        return np.concatenate([self.lengths, self.weights, rest])

    @classmethod
    def from_array(cls, theta: Floats, n_columns: int) -> Parameters:
        """Return the parameters that a vector holds."""
        scale, coupling, noise = theta[-3:].tolist()
        return cls(theta[:n_columns], theta[n_columns:-3], scale, coupling, noise)


@dataclass(slots=True)
class _BlockRows:
    """A block's active rows in some data, and where they stand among its parent's rows."""

    index: NDArray[np.int64]
    places: Floats
    in_parent: NDArray[np.int64] | None


class BlockKernel:
    """Covariances between rows of data, and the gradient with respect to the parameters.

    Args:
        structure: of the space.
        x: `(n, d)` data in `[0, 1]`, NaN where inactive.
    """

    def __init__(self, structure: BlockStructure, x: Floats) -> None:
        self.structure = structure
        self.embedding = Embedding(structure, x)
        self.n = len(x)
        self._rows = self._blocks_of(x)

    def covariance(self, p: Parameters) -> Floats:
        """Return `(n, n)` covariances of the data, without the noise."""
        return self._between(self._rows, self.n, p)

    def cross(self, p: Parameters, x: Floats) -> Floats:
        """Return `(m, n)` covariances of other rows with the data."""
        return self._between(self._blocks_of(x), len(x), p)

    def variance(self, p: Parameters, x: Floats) -> Floats:
        """Return `(m,)` prior variances of other rows."""
        share = np.exp(p.scale + p.weights)
        active = [self.embedding.active(x, b) for b in range(len(self.structure))]
        return np.asarray(share @ np.array(active, dtype=np.float64).reshape(len(share), len(x)))

    def _blocks_of(self, x: Floats) -> list[_BlockRows]:
        out: list[_BlockRows] = []
        for b, parent in enumerate(self.structure.parents):
            index = np.flatnonzero(self.embedding.active(x, b))
            in_parent = None if parent < 0 else np.searchsorted(out[parent].index, index)
            out.append(_BlockRows(index, self.embedding.place(x[index], b), in_parent))
        return out

    def _scaled(self, rows: _BlockRows, block: int, p: Parameters) -> Floats:
        return rows.places * np.exp(-p.lengths[self.embedding.coordinates[block]])

    def _between(self, theirs: list[_BlockRows], m: int, p: Parameters) -> Floats:
        c = float(expit(p.coupling))
        k = np.zeros((m, self.n))
        owns: dict[int, Floats] = {}
        for b, (left, right) in enumerate(zip(theirs, self._rows, strict=True)):
            if not len(left.index) or not len(right.index):
                continue
            d2 = _squared_distances(self._scaled(left, b, p), self._scaled(right, b, p))
            owns[b], _ = correlation(d2, self.structure.trend, with_slope=False)
            part = np.exp(p.scale + p.weights[b]) * owns[b]
            if left.in_parent is not None and right.in_parent is not None:
                above = owns[self.structure.parents[b]]
                part *= 1.0 - c + c * above[np.ix_(left.in_parent, right.in_parent)]
            _add(k, left.index, right.index, part)
        return k


def correlation(d2: Floats, trend: float, *, with_slope: bool) -> tuple[Floats, Floats]:
    """Return the correlation at squared scaled distances, and -2 times its slope in them.

    A share of `trend` has a Gaussian shape of `WIDTH` times the length scale: the bowl or slope
    that most objectives have as a whole. The rest is a Matern 5/2.

    Reference: Rasmussen and Williams, 2006, "Gaussian Processes for Machine Learning", eqs. 4.9
    and 4.17.
    """
    r = np.sqrt(5.0 * d2)
    rough = (1.0 - trend) * np.exp(-r)
    smooth = trend * np.exp(d2 * (-0.5 / WIDTH**2))
    own = (1.0 + r + r * r / 3.0) * rough + smooth
    if not with_slope:
        return own, own
    return own, (5.0 / 3.0) * (1.0 + r) * rough + smooth / WIDTH**2


def _squared_distances(a: Floats, b: Floats) -> Floats:
    d2 = np.sum(a * a, axis=1)[:, None] + np.sum(b * b, axis=1)[None, :] - 2.0 * (a @ b.T)
    return np.asarray(np.maximum(d2, 0.0))


def _add(k: Floats, i: NDArray[np.int64], j: NDArray[np.int64], part: Floats) -> None:
    if part.shape == k.shape:
        k += part
    else:
        k[np.ix_(i, j)] += part
