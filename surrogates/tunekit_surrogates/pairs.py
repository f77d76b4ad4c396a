"""Evaluates the block kernel over lists of pairs: fast for few rows and any number of blocks.

A tree of two hundred nodes has a hundred blocks of a few rows each. One array lists the row pairs
of all blocks, so that the work grows with the pairs and not with the blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from tunekit_surrogates.block_kernel import (
    Parameters,
    active_blocks,
    correlation,
    total_share,
)
from tunekit_surrogates.blocks import BlockStructure, Floats

Indices = NDArray[np.int64]


class Pairs:
    """Lists all pairs of a left and a right row, for each block that is active in both.

    Args:
        structure: blocks of the space.
        left: `(m, d)` rows in `[0, 1]`, NaN where inactive.
        right: `(n, d)` rows.
        upper: both sides hold the same rows, and only pairs with `i < j` are listed.
    """

    def __init__(
        self, structure: BlockStructure, left: Floats, right: Floats, *, upper: bool = False
    ) -> None:
        self.structure = structure
        self.shape = (len(left), len(right))
        self._is_category = np.array(structure.sizes) > 0
        parts = _list_pairs(structure, left, right, upper=upper)
        self.block, self.i, self.j, self.parent = parts
        counts = np.array([len(c) for c in structure.columns], dtype=np.int64)[self.block]
        # One entry for each column of each pair; the entries of a pair are adjacent.
        self._pair = np.repeat(np.arange(len(self.block)), counts)
        starts = np.cumsum(counts) - counts
        within = np.arange(len(self._pair)) - starts[self._pair]
        columns = np.array([j for c in structure.columns for j in c], dtype=np.int64)
        firsts = np.cumsum([0, *(len(c) for c in structure.columns)])
        self._column = columns[firsts[self.block[self._pair]] + within]
        self._in_left = self.i[self._pair] * left.shape[1] + self._column
        self._in_right = right[self.j[self._pair], self._column]
        self._at = self.i * len(right) + self.j
        self._parts = _parts_of(structure, self.block)
        self.moved(left)
        self._children = np.flatnonzero(self.parent >= 0)
        self._active = active_blocks(structure, left), active_blocks(structure, right)

    def moved(self, left: Floats) -> None:
        """Replace the left rows by `(m, d)` rows that are active in the same blocks."""
        differ = left.ravel()[self._in_left] - self._in_right
        if self._is_category.any():
            categories = self._is_category[self._column]
            differ = np.where(categories, differ != 0.0, differ)
        self._differences = differ
        squares = differ**2
        self._squares = [squares[p.entries].reshape(p.shape) for p in self._parts]

    def covariance(self, p: Parameters) -> tuple[Floats, Callable[[Floats], _Slopes]]:
        """Return `(m, n)` covariances, 0 where `i >= j` for upper pairs, and their backward pass.

        The backward pass takes `(m, n)` `dL/dk` and returns the derivatives of `L` in the
        parameters and in the left rows.
        """
        inverse = np.exp(-2.0 * p.lengths)
        # d2 = sum over the block's columns of (u - v)^2 / l^2, one value a pair
        own, slope, share = (np.empty(len(self.block)) for _ in range(3))
        shares = np.exp(p.scale + p.weights)
        for part, squares in zip(self._parts, self._squares, strict=True):
            d2 = squares @ inverse[part.columns]
            found = correlation(d2, self.structure.trend, with_slope=True)
            own[part.pairs], slope[part.pairs] = found
            share[part.pairs] = shares[part.block]
        c = float(expit(p.coupling))
        above = own[self.parent[self._children]]
        # share * ((1 - c) + c * own_parent), where a block has a parent
        share[self._children] *= 1.0 - c + c * above
        m, n = self.shape
        sizes = [total_share(p, active) for active in self._active]
        norm = np.outer(*(1.0 / np.sqrt(size) for size in sizes))
        k = _summed(self._at, share * own, m * n).reshape(m, n) * norm

        def back(g: Floats) -> _Slopes:
            # k = norm * share * own * ((1 - c) + c * own_parent), so with g = norm * dL/dk:
            # dL/d own = share g factor, plus c share' g' own' from each child pair (')
            q = (norm * g).ravel()[self._at]
            children = self._children
            through = (shares[self.block[children]] * q[children]) * own[children]
            q *= share
            weights = np.zeros(len(p.weights))
            for part in self._parts:
                weights[part.block] = q[part.pairs] @ own[part.pairs]
            if len(children):
                q += _summed(self.parent[children], c * through, len(own))
            scale = float(weights.sum())
            # d norm / d log w = -norm / 2 * (w / v + w / v') over the blocks active in each
            whole = g * k
            for axis, size, active in zip((1, 0), sizes, self._active, strict=True):
                weights -= 0.5 * np.exp(p.weights) * (active @ (whole.sum(axis=axis) / size))
            # dc/d logit = c (1 - c) and d factor/dc = own_parent - 1
            coupling = c * (1.0 - c) * float(np.sum(through * (above - 1.0)))
            return _Slopes(self, q * slope, inverse, weights, scale, coupling)

        return k, back


@dataclass(frozen=True, slots=True)
class _Part:
    """The pairs of one block, which are adjacent, as are their entries.

    Attributes:
        shape: number of pairs, number of columns.
    """

    block: int
    columns: list[int]
    pairs: slice
    entries: slice
    shape: tuple[int, int]


def _parts_of(structure: BlockStructure, block: Indices) -> list[_Part]:
    """Return the parts of the blocks that have pairs, given the `(p,)` ascending blocks."""
    found, pair, entry = [], 0, 0
    for b, n in enumerate(np.bincount(block, minlength=len(structure)).tolist()):
        columns = list(structure.columns[b])
        pairs = slice(pair, pair + n)
        entries = slice(entry, entry + n * len(columns))
        if n:
            found.append(_Part(b, columns, pairs, entries, (n, len(columns))))
        pair, entry = pairs.stop, entries.stop
    return found


class _Slopes:
    """Derivatives of a function of the covariances, gathered from its pairs.

    Attributes:
        weights: `(b,)` derivatives in the logarithms of the blocks' shares.
        scale: derivative in the logarithm of the variance.
        coupling: derivative in the logit of `c`.
    """

    def __init__(
        self,
        pairs: Pairs,
        of_pairs: Floats,
        inverse: Floats,
        weights: Floats,
        scale: float,
        coupling: float,
    ) -> None:
        self._pairs, self._of_pairs, self._inverse = pairs, of_pairs, inverse
        self.weights, self.scale, self.coupling = weights, scale, coupling

    def in_lengths(self) -> Floats:
        """Return `(d,)` derivatives in the logarithms of the length scales."""
        # d own / d log l = slope * (u - v)^2 / l^2
        out = np.zeros(len(self._inverse))
        for part, squares in zip(self._pairs._parts, self._pairs._squares, strict=True):
            out[part.columns] = self._of_pairs[part.pairs] @ squares
        return out * self._inverse

    def in_rows(self) -> Floats:
        """Return `(m, d)` derivatives in the left rows, 0 in categorical columns."""
        pairs, d = self._pairs, len(self._pairs.structure.sizes)
        # d own / d u = -slope * (u - v) / l^2
        entries = self._of_pairs[pairs._pair] * self._inverse[pairs._column]
        moved = -entries * pairs._differences
        if pairs._is_category.any():
            moved[pairs._is_category[pairs._column]] = 0.0
        return _summed(pairs._in_left, moved, pairs.shape[0] * d).reshape(pairs.shape[0], d)


def _summed(at: Indices, values: Floats, n: int) -> Floats:
    """Return `(n,)` sums of the values that share an index `at`."""
    return np.asarray(np.bincount(at, values, minlength=n), dtype=np.float64)


def _list_pairs(
    structure: BlockStructure, left: Floats, right: Floats, *, upper: bool
) -> tuple[Indices, Indices, Indices, Indices]:
    """Return the block, left row, right row and parent pair's index of each pair, `(p,)` each."""
    parts: list[tuple[Indices, Indices, Indices, Indices]] = []
    places: dict[int, Indices] = {}  # block -> (m, n) positions of its pairs
    total = 0
    for b, (columns, parent) in enumerate(zip(structure.columns, structure.parents, strict=True)):
        both = np.outer(~np.isnan(left[:, columns[0]]), ~np.isnan(right[:, columns[0]]))
        i, j = np.nonzero(np.triu(both, 1) if upper else both)
        if b in structure.parents:
            places[b] = np.full((len(left), len(right)), -1)
            places[b][i, j] = total + np.arange(len(i))
        up = places[parent][i, j] if parent >= 0 else np.full(len(i), -1)
        parts.append((np.full(len(i), b), i, j, up))
        total += len(i)
    if not parts:
        empty = np.empty(0, dtype=np.int64)
        return empty, empty, empty, empty
    block, i, j, up = (np.concatenate(x) for x in zip(*parts, strict=True))
    return block, i, j, up
