"""The blocks of a tree-structured space: columns that are always active together."""

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
"""Share of a block's variance that belongs to its trend, where nothing else is said."""

SAME = 0.5
"""The share of the squared distance that each of two different categories carries."""


@dataclass(frozen=True)
class BlockStructure:
    """Which columns belong together, and which of them are unordered categories.

    Attributes:
        columns: for each block the columns that are its own; a row of data is NaN in all of
            them or in none.
        parents: for each block the block that holds the switch that opens it, -1 for a root;
            a parent stands before its children.
        sizes: for each column how many unordered categories it has, 0 if it is a number. A
            category k of m stands at (k + 1/2) / m.
        trend: share of a block's variance that is wide and smooth.
        shares: for each block the logarithm of its expected share beside what its depth says;
            empty where all are 0.
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
        """Return whether some blocks are only active under a value of a switch."""
        return any(parent >= 0 for parent in self.parents)

    @cached_property
    def depths(self) -> tuple[int, ...]:
        """For each block how many blocks lie above it."""
        out: list[int] = []
        for parent in self.parents:
            out.append(0 if parent < 0 else out[parent] + 1)
        return tuple(out)

    def additive(self, share: float) -> BlockStructure:
        """Return the structure in which each column of a larger block is a block as well.

        Args:
            share: of the variance of such a block that its columns have each for themselves.
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
        """Return the structure of a space without conditions: one block."""
        return cls((tuple(range(len(sizes))),), (-1,), tuple(sizes))


class Embedding:
    """Places rows such that the squared distance of a column is `(u - v)^2` or `u != v`.

    A category becomes one coordinate for each value that the data have and one for all others,
    so that many categories cost no more than there are rows.

    Attributes:
        coordinates: for each block the column that each coordinate of its rows belongs to.
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
        """Return `(n,)`: the rows in which a block is active."""
        columns = self.structure.columns[block]
        return ~np.isnan(x[:, columns[0]])

    def place(self, x: Floats, block: int) -> Floats:
        """Return `(n, k)` coordinates of rows in which the block is active."""
        parts = [self._place_column(x[:, j], j) for j in self.structure.columns[block]]
        return np.concatenate(parts, axis=1)

    def _place_column(self, u: Floats, column: int) -> Floats:
        if not self.structure.sizes[column]:
            return u[:, None]
        seen = self._seen[column]
        hot = u[:, None] == seen[None, :]
        other = ~hot.any(axis=1, keepdims=True)
        return np.asarray(np.sqrt(SAME) * np.concatenate([hot, other], axis=1))
