"""The block kernel: sums one kernel per block over the blocks that two points both activate.

`k = s * sum_b w_b 1[b active in both] own_b h_b / sqrt(v v')`, where `own_b` mixes a trend and a
Matern 5/2 over the block's own columns. `h_b` is 1 for a root and `(1 - c) + c own_parent(b)`
otherwise, so that the effect of a branch may vary with the parameters beside its switch. Sums and
products of kernels are kernels, so `k` is one.

`v` is the sum of `w_b` over the active blocks of a point, so that the prior variance is `s` in all
branches. Without it, deep branches would promise more only because they have more blocks, and a
choice that opens no child would never be worth a trial.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from tunekit_surrogates.blocks import BlockStructure, Embedding, Floats
from tunekit_surrogates.line_kernel import LineKernel

WIDTH = 8.0
"""Length scale of the trend, as a multiple of the Matern length scale."""

AT_ONCE = 16_000
"""Number of covariances to compute at once, so that each step stays in the cache."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """Holds the kernel's parameters as logarithms.

    Attributes:
        lengths: `(d,)` length scale of each column.
        weights: `(b,)` share of each block, relative to those active beside it.
        scale: variance `s` of the whole kernel.
        coupling: logit of `c`.
        noise: noise variance.
    """

    lengths: Floats
    weights: Floats
    scale: float
    coupling: float
    noise: float

    def to_array(self) -> Floats:
        """Return all parameters as one `(d + b + 3,)` vector."""
        rest = [self.scale, self.coupling, self.noise]
        return np.concatenate([self.lengths, self.weights, rest])

    @classmethod
    def from_array(cls, theta: Floats, n_columns: int) -> Parameters:
        """Return the parameters stored in a `(d + b + 3,)` vector, for `n_columns` = `d`."""
        scale, coupling, noise = theta[-3:].tolist()
        return cls(theta[:n_columns], theta[n_columns:-3], scale, coupling, noise)


@dataclass(slots=True)
class _BlockRows:
    """The rows in which a block is active, and their positions among its parent's rows.

    Attributes:
        index: `(r,)` active rows.
        places: `(r, k)` coordinates of these rows.
        in_parent: `(r,)` positions in the parent's `index`, `None` for a root.
    """

    index: NDArray[np.int64]
    places: Floats
    in_parent: NDArray[np.int64] | None


class BlockKernel:
    """Computes covariances between rows of data.

    Args:
        structure: blocks of the space.
        x: `(n, d)` data in `[0, 1]`, NaN where inactive.
    """

    def __init__(self, structure: BlockStructure, x: Floats) -> None:
        self.structure = structure
        self.embedding = Embedding(structure, x)
        self.n = len(x)
        self._rows = self._blocks_of(x)
        self._active = self._flags(x)
        self._above = frozenset(structure.parents)

    def covariance(self, p: Parameters) -> Floats:
        """Return `(n, n)` noise-free covariances of the data."""
        size = total_share(p, self._active)
        return _over_roots(self._between(self._rows, self.n, p), size, size)

    def cross(self, p: Parameters, x: Floats) -> Floats:
        """Return `(m, n)` covariances of other `(m, d)` rows with the data."""
        sizes = [total_share(p, active) for active in (self._flags(x), self._active)]
        return _over_roots(self._between(self._blocks_of(x), len(x), p), *sizes)

    def variance(self, p: Parameters, x: Floats) -> Floats:
        """Return `(m,)` prior variances of other `(m, d)` rows."""
        return np.asarray(np.exp(p.scale) * self._flags(x).any(axis=0))

    def _flags(self, x: Floats) -> Floats:
        """Return `(b, m)` flags, 0 or 1, of the active blocks of `(m, d)` rows."""
        return active_blocks(self.structure, x)

    def _blocks_of(self, x: Floats) -> list[_BlockRows]:
        """Return, for each block, the active ones of `(n, d)` rows."""
        out: list[_BlockRows] = []
        for b, parent in enumerate(self.structure.parents):
            index = np.flatnonzero(self.embedding.active(x, b))
            in_parent = None if parent < 0 else np.searchsorted(out[parent].index, index)
            out.append(_BlockRows(index, self.embedding.place(x[index], b), in_parent))
        return out

    def _scaled(self, rows: _BlockRows, block: int, p: Parameters) -> Floats:
        """Return `(r, k)` coordinates divided by their length scales."""
        return rows.places * np.exp(-p.lengths[self.embedding.coordinates[block]])

    def _between(self, theirs: list[_BlockRows], m: int, p: Parameters) -> Floats:
        """Return `(m, n)` covariances of `m` other rows with the data."""
        c = float(expit(p.coupling))
        k, room = np.zeros((m, self.n)), np.empty(m * self.n)  # fresh memory for each is slow
        owns: dict[int, Floats] = {}
        for b, (left, right) in enumerate(zip(theirs, self._rows, strict=True)):
            if not len(left.index) or not len(right.index):
                continue
            part = _rows_of(room, len(left.index), len(right.index))
            _correlate(
                self._scaled(left, b, p), self._scaled(right, b, p), self.structure.trend, part
            )
            if b in self._above:
                owns[b] = part.copy()
            part *= np.exp(p.scale + p.weights[b])
            if left.in_parent is not None and right.in_parent is not None:
                above = owns[self.structure.parents[b]]
                part *= 1.0 - c + c * above[np.ix_(left.in_parent, right.in_parent)]
            _add(k, left.index, right.index, part)
        return k


def active_blocks(structure: BlockStructure, x: Floats) -> Floats:
    """Return `(b, m)` flags, 0 or 1, of the active blocks of `(m, d)` rows."""
    firsts = [columns[0] for columns in structure.columns]
    return np.asarray(~np.isnan(x[:, firsts].T), dtype=np.float64)


def total_share(p: Parameters, active: Floats) -> Floats:
    """Return the `(m,)` sums of the active blocks' shares, 1 without any, from `(b, m)` flags."""
    total = np.exp(p.weights) @ active
    return np.asarray(np.where(total > 0.0, total, 1.0))


def correlation(d2: Floats, trend: float, *, with_slope: bool) -> tuple[Floats, Floats]:
    """Return correlations at squared scaled distances, and -2 times their derivatives in these.

    A share `trend` of the variance is a Gaussian kernel of `WIDTH` times the length scale, which
    models the overall bowl or slope of most objectives. The rest is a Matern 5/2.

    `d2` may have any shape; both results have the same one.

    Derivation, with `d2 = |u - v|^2 / l^2` and `r = sqrt(5 d2)`: the Matern part is
    `(1 + r + r^2 / 3) e^-r`, and `d/d(d2) = (5 / 2r) d/dr` gives `-(5 / 6) (1 + r) e^-r`. The
    Gaussian part is `exp(-d2 / (2 WIDTH^2))` with derivative `-exp(...) / (2 WIDTH^2)`. The
    factor -2 turns both into `d / d log l` per unit of `(u - v)^2 / l^2`.

    Reference: Rasmussen and Williams, 2006, "Gaussian Processes for Machine Learning", eqs. 4.9
    and 4.17.
    """
    r = np.sqrt(5.0 * d2)
    rough = np.exp(-r)
    rough *= 1.0 - trend
    steep = 1.0 + r
    steep *= rough
    own = r
    own *= r
    own *= 1.0 / 3.0
    own *= rough
    own += steep
    slope = (5.0 / 3.0) * steep if with_slope else own
    if trend:
        smooth = trend * np.exp(d2 * (-0.5 / WIDTH**2))
        own += smooth
        if with_slope:
            slope += smooth / WIDTH**2
    return own, slope


def _over_roots(k: Floats, left: Floats, right: Floats) -> Floats:
    """Return `(m, n)` `k`, changed in place: over the roots of `(m,)` and `(n,)` sizes."""
    k /= np.sqrt(left)[:, None]
    k /= np.sqrt(right)
    return k


def _rows_of(room: Floats, m: int, n: int) -> Floats:
    """Return the first values of `room` as an `(m, n)` array."""
    return room[: m * n].reshape(m, n)


def _correlate(a: Floats, b: Floats, trend: float, found: Floats) -> None:
    """Write to `(m, n)` `found` the correlations of `(m, k)` and `(n, k)` scaled coordinates."""
    step = max(1, AT_ONCE // len(b))
    line = LineKernel(a[:, 0], b[:, 0], trend=trend, width=WIDTH) if a.shape[1] == 1 else None
    for start in range(0, len(a), step):
        rows = slice(start, start + step)
        if line is not None:
            found[rows] = line.rows(rows)
        else:
            found[rows], _ = correlation(_squared_distances(a[rows], b), trend, with_slope=False)


def _squared_distances(a: Floats, b: Floats) -> Floats:
    """Return `(m, n)` squared distances between `(m, k)` and `(n, k)` coordinates."""
    d2 = np.sum(a * a, axis=1)[:, None] + np.sum(b * b, axis=1)[None, :] - 2.0 * (a @ b.T)
    return np.asarray(np.maximum(d2, 0.0))


def _add(k: Floats, i: NDArray[np.int64], j: NDArray[np.int64], part: Floats) -> None:
    """Add `(r, q)` `part` to `(m, n)` `k` at rows `i`, `(r,)`, and columns `j`, `(q,)`."""
    if part.shape == k.shape:
        k += part
    else:
        k[np.ix_(i, j)] += part
