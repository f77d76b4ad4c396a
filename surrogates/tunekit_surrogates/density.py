"""Measures how far a point lies from a model's training rows."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

Floats: TypeAlias = NDArray[np.float64]

NEIGHBOURS = 3


class Density:
    """Compares a point's mean distance to its nearest rows with the distances among the rows.

    Args:
        rows: `(n, f)` without NaN; 2 or more.

    Attributes:
        own: `(n,)` mean distances of the rows to their nearest other rows, ascending.
    """

    def __init__(self, rows: Floats) -> None:
        self._tree = KDTree(rows)
        self._n = min(NEIGHBOURS, len(rows) - 1)
        near = self._tree.query(rows, k=self._n + 1)[0][:, 1:]  # the nearest row is the row itself
        self.own: Floats = np.sort(near.mean(axis=1))

    def distance(self, x: Floats) -> Floats:
        """Return `(m,)` mean distances of `(m, f)` points to their nearest rows."""
        near = np.asarray(self._tree.query(x, k=self._n)[0])
        return np.asarray(near.reshape(len(x), self._n).mean(axis=1))

    def rank(self, distance: Floats) -> Floats:
        """Return `(m,)` shares of the rows that lie closer to other rows than `(m,)` distances."""
        return np.searchsorted(self.own, distance, side="left") / len(self.own)

    def limit(self, share: float) -> float:
        """Return the distance that `share` of the rows' own distances do not exceed."""
        return float(np.quantile(self.own, share))
