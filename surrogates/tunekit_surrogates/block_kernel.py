"""The block kernel: a sum over the blocks that are active in both of two points.

`k = s * sum_b w_b 1[b active in both] own_b h_b`, with `own_b` a trend and a Matern 5/2 over the
block's own columns, `h_b = 1` for a root and else `(1 - c) + c own_parent(b)`: what a branch does
may change with the parameters beside its switch. A sum of products of kernels is a kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from tunekit_surrogates.blocks import Embedding, Floats, Structure

TREND = 0.8
"""Share of a block's variance that belongs to its trend."""

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
class _Rows:
    """A block's active rows in some data, and where they stand among its parent's rows."""

    index: NDArray[np.int64]
    places: Floats
    in_parent: NDArray[np.int64] | None


@dataclass(slots=True)
class _Terms:
    """What the covariance of one block was made of; the gradient needs it again."""

    own: Floats
    slope: Floats  # -2 d own / d (squared distance)
    factor: Floats | float


class BlockKernel:
    """Covariances between rows of data, and the gradient with respect to the parameters.

    Args:
        structure: of the space.
        x: `(n, d)` data in `[0, 1]`, NaN where inactive.
    """

    def __init__(self, structure: Structure, x: Floats) -> None:
        self.structure = structure
        self.embedding = Embedding(structure, x)
        self.n = len(x)
        self._rows = self._blocks_of(x)

    @property
    def observed(self) -> list[int]:
        """Return the blocks that are active in at least one row."""
        return [b for b, rows in enumerate(self._rows) if len(rows.index)]

    def covariance(self, p: Parameters) -> Floats:
        """Return `(n, n)` covariances of the data, without the noise."""
        return self._sum(p)[0]

    def covariance_and_gradient(
        self, p: Parameters
    ) -> tuple[Floats, Callable[[Floats], Parameters]]:
        """Return the covariances, and what gives `dL/dp` for a symmetric `dL/dK`.

        The gradient's `noise` is 0: that term is not the kernel's.
        """
        k, terms = self._sum(p)
        return k, lambda g: self._gradient(p, terms, g)

    def _blocks_of(self, x: Floats) -> list[_Rows]:
        out: list[_Rows] = []
        for b, parent in enumerate(self.structure.parents):
            index = np.flatnonzero(self.embedding.active(x, b))
            in_parent = None if parent < 0 else np.searchsorted(out[parent].index, index)
            out.append(_Rows(index, self.embedding.place(x[index], b), in_parent))
        return out

    def _scaled(self, rows: _Rows, block: int, p: Parameters) -> Floats:
        return rows.places * np.exp(-p.lengths[self.embedding.coordinates[block]])

    def _sum(self, p: Parameters) -> tuple[Floats, list[_Terms | None]]:
        c = float(expit(p.coupling))
        k = np.zeros((self.n, self.n))
        terms: list[_Terms | None] = []
        for b, rows in enumerate(self._rows):
            if not len(rows.index):
                terms.append(None)
                continue
            z = self._scaled(rows, b, p)
            own, slope = correlation(_squared_distances(z, z), with_slope=True)
            factor: Floats | float = 1.0
            if rows.in_parent is not None:
                above = terms[self.structure.parents[b]]
                assert above is not None
                factor = 1.0 - c + c * above.own[np.ix_(rows.in_parent, rows.in_parent)]
            terms.append(_Terms(own, slope, factor))
            _add(k, rows.index, rows.index, np.exp(p.scale + p.weights[b]) * own * factor)
        return k, terms

    def _gradient(self, p: Parameters, terms: list[_Terms | None], g: Floats) -> Parameters:
        c = float(expit(p.coupling))
        lengths = np.zeros_like(p.lengths)
        weights = np.zeros_like(p.weights)
        coupling = 0.0
        to_own: dict[int, Floats] = {}  # dL/d own of each block
        for b in reversed(range(len(self.structure))):  # children first: they add to the parent's
            term, rows = terms[b], self._rows[b]
            if term is None:
                continue
            gb = np.exp(p.scale + p.weights[b]) * _take(g, rows.index, self.n)
            direct = gb * term.factor
            weights[b] = np.sum(direct * term.own)
            q = direct + to_own[b] if b in to_own else direct
            if rows.in_parent is not None:
                parent = self.structure.parents[b]
                above = terms[parent]
                assert above is not None
                through = gb * term.own
                at = np.ix_(rows.in_parent, rows.in_parent)
                coupling += c * (1.0 - c) * float(np.sum(through * (above.own[at] - 1.0)))
                to_own.setdefault(parent, np.zeros_like(above.own))[at] += c * through
            z = self._scaled(rows, b, p)
            w = q * term.slope
            by_coordinate = 2.0 * (w.sum(axis=1) @ z**2 - np.sum(z * (w @ z), axis=0))
            np.add.at(lengths, self.embedding.coordinates[b], by_coordinate)
        return Parameters(lengths, weights, float(weights.sum()), coupling, 0.0)

    def variance(self, p: Parameters, x: Floats) -> Floats:
        """Return `(m,)` prior variances of other rows."""
        share = np.exp(p.scale + p.weights)
        active = [self.embedding.active(x, b) for b in range(len(self.structure))]
        return np.asarray(share @ np.array(active, dtype=np.float64))

    def cross(self, p: Parameters, x: Floats) -> Floats:
        """Return `(m, n)` covariances of other rows with the data."""
        return self._cross(p, x, with_slope=False)[0]

    def cross_and_gradient(
        self, p: Parameters, x: Floats
    ) -> tuple[Floats, Callable[[Floats], Floats]]:
        """Return the same, and what gives `(m, d)` `dL/dx` for `(m, n)` `dL/dk`.

        The gradient is 0 in the columns of categories and where a row is inactive.
        """
        k, terms = self._cross(p, x, with_slope=True)
        return k, lambda g: self._gradient_in_rows(p, terms, g, x)

    def _cross(
        self, p: Parameters, x: Floats, *, with_slope: bool
    ) -> tuple[Floats, list[tuple[_Rows, _Terms] | None]]:
        c = float(expit(p.coupling))
        k = np.zeros((len(x), self.n))
        terms: list[tuple[_Rows, _Terms] | None] = []
        for b, (left, right) in enumerate(zip(self._blocks_of(x), self._rows, strict=True)):
            if not len(left.index) or not len(right.index):
                terms.append(None)
                continue
            d2 = _squared_distances(self._scaled(left, b, p), self._scaled(right, b, p))
            own, slope = correlation(d2, with_slope=with_slope)
            factor: Floats | float = 1.0
            if left.in_parent is not None and right.in_parent is not None:
                above = terms[self.structure.parents[b]]
                assert above is not None
                at = np.ix_(left.in_parent, right.in_parent)
                factor = 1.0 - c + c * above[1].own[at]
            terms.append((left, _Terms(own, slope, factor)))
            part = np.exp(p.scale + p.weights[b]) * own * factor
            _add(k, left.index, right.index, part)
        return k, terms

    def _gradient_in_rows(
        self, p: Parameters, terms: list[tuple[_Rows, _Terms] | None], g: Floats, x: Floats
    ) -> Floats:
        c = float(expit(p.coupling))
        out = np.zeros_like(x)
        to_own: dict[int, Floats] = {}
        for b in reversed(range(len(self.structure))):
            found = terms[b]
            if found is None:
                continue
            (left, term), right = found, self._rows[b]
            gb = np.exp(p.scale + p.weights[b]) * g[np.ix_(left.index, right.index)]
            q = gb * term.factor + to_own.get(b, 0.0)
            if left.in_parent is not None and right.in_parent is not None:
                parent = self.structure.parents[b]
                above = terms[parent]
                assert above is not None
                at = np.ix_(left.in_parent, right.in_parent)
                to_own.setdefault(parent, np.zeros_like(above[1].own))[at] += c * gb * term.own
            w = q * term.slope  # d own / d u_i = -slope (u_i - v_i) / l_i^2
            moved = w @ right.places - w.sum(axis=1, keepdims=True) * left.places
            columns = self.embedding.coordinates[b]
            out[np.ix_(left.index, columns)] = moved * np.exp(-2.0 * p.lengths[columns])
        return np.where(np.array(self.structure.sizes) > 0, 0.0, out)


def correlation(d2: Floats, *, with_slope: bool) -> tuple[Floats, Floats]:
    """Return the correlation at squared scaled distances, and -2 times its slope in them.

    A share of `TREND` has a Gaussian shape of `WIDTH` times the length scale: the bowl or slope
    that most objectives have as a whole. The rest is a Matern 5/2.

    Reference: Rasmussen and Williams, 2006, "Gaussian Processes for Machine Learning", eqs. 4.9
    and 4.17.
    """
    r = np.sqrt(5.0 * d2)
    rough = (1.0 - TREND) * np.exp(-r)
    smooth = TREND * np.exp(d2 * (-0.5 / WIDTH**2))
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


def _take(g: Floats, index: NDArray[np.int64], n: int) -> Floats:
    return g if len(index) == n else np.asarray(g[np.ix_(index, index)])
