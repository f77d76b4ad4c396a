"""Groups the columns of a tree-structured space into blocks that are always active together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]

TREND = 0.8
"""Default share of a block's variance that belongs to its trend."""

SAME = 0.5
"""Squared coordinate of a category, so that two categories have squared distance 1."""


@dataclass(frozen=True)
class BlockStructure:
    """Says which columns form a block, and which columns are unordered categories.

    Attributes:
        columns: for each block its own columns; a row of data is NaN in all of them or in
            none.
        parents: for each block the block that holds its switch, -1 for a root; parents
            precede their children.
        sizes: for each column its number of unordered categories, 0 for a number. Category k
            of m is encoded as (k + 1/2) / m.
        trend: share of a block's variance that is wide and smooth, in `[0, 1]`.
        shares: for each block the logarithm of its expected share, added to the prior mean
            that its depth implies; empty if all are 0.
    """

    columns: tuple[tuple[int, ...], ...]
    parents: tuple[int, ...]
    sizes: tuple[int, ...]
    trend: float = TREND
    shares: tuple[float, ...] = ()

    def __len__(self) -> int:
        return len(self.columns)

    @property
    def has_branches(self) -> bool:
        """Return whether some block is active only under certain values of a switch."""
        return any(parent >= 0 for parent in self.parents)

    @cached_property
    def depths(self) -> tuple[int, ...]:
        """The depth of each block: how many blocks lie above it."""
        out: list[int] = []
        for parent in self.parents:
            out.append(0 if parent < 0 else out[parent] + 1)
        return tuple(out)

    def additive(self, share: float) -> BlockStructure:
        """Return the structure that adds a block for each single column of a larger block.

        Args:
            share: fraction of a block's variance, in `(0, 1)`, split evenly over its columns.
        """
        columns, parents = list(self.columns), list(self.parents)
        shares = [0.0] * len(self)
        for b, together in enumerate(self.columns):
            if len(together) > 1:
                shares[b] = math.log(1.0 - share)
                columns += [(j,) for j in together]
                parents += [self.parents[b]] * len(together)
                shares += [math.log(share / len(together))] * len(together)
        return replace(self, columns=tuple(columns), parents=tuple(parents), shares=tuple(shares))

    @classmethod
    def flat(cls, sizes: Sequence[int]) -> BlockStructure:
        """Return the one-block structure of a space without conditions."""
        return cls((tuple(range(len(sizes))),), (-1,), tuple(sizes))


class Embedding:
    """Embeds rows so that a column's squared distance is `(u - v)^2`, or `u != v` for categories.

    A categorical column becomes one coordinate for each value in the data and one for all other
    values, so that the cost is bounded by the number of rows rather than of categories.

    Args:
        structure: blocks of the space.
        x: `(n, d)` data in `[0, 1]`, NaN where inactive.

    Attributes:
        coordinates: for each block the `(k,)` columns that its coordinates belong to.
    """

    def __init__(self, structure: BlockStructure, x: Floats) -> None:
        self.structure = structure
        self._seen: dict[int, Floats] = {}
        self.coordinates: list[NDArray[np.int64]] = []
        for columns in structure.columns:
            owners: list[int] = []
            for j in columns:
                if structure.sizes[j]:
                    self._seen[j] = np.unique(x[~np.isnan(x[:, j]), j])
                owners += [j] * (len(self._seen[j]) + 1 if structure.sizes[j] else 1)
            self.coordinates.append(np.array(owners, dtype=np.int64))

    def active(self, x: Floats, block: int) -> NDArray[np.bool_]:
        """Return `(n,)` flags of the `(n, d)` rows in which a block is active."""
        columns = self.structure.columns[block]
        return ~np.isnan(x[:, columns[0]])

    def place(self, x: Floats, block: int) -> Floats:
        """Return `(n, k)` coordinates of `(n, d)` rows in which the block is active."""
        parts = [self._place_column(x[:, j], j) for j in self.structure.columns[block]]
        return np.concatenate(parts, axis=1)

    def _place_column(self, u: Floats, column: int) -> Floats:
        """Return `(n, k)` coordinates of the `(n,)` values of one column."""
        # One-hot rows of height sqrt(SAME): two categories differ in two places, 2 * SAME = 1.
        if not self.structure.sizes[column]:
            return u[:, None]
        seen = self._seen[column]
        hot = u[:, None] == seen[None, :]
        other = ~hot.any(axis=1, keepdims=True)
        return np.asarray(np.sqrt(SAME) * np.concatenate([hot, other], axis=1))
