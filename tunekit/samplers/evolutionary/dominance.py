"""Orders points with several losses by non-domination rank, then by crowding distance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tunekit_surrogates.non_domination import layers

if TYPE_CHECKING:
    from numpy.typing import NDArray


def dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    """Return whether `one` is nowhere worse than `other` and better in at least one loss."""
    pairs = list(zip(one, other, strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def crowding(losses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return `(n,)` crowding distances of `(n, m)` losses of one front, `inf` at its ends.

    Reference:
        Deb et al. 2002, section III.B.
    """
    n, m = losses.shape
    distance = np.zeros(n)
    for j in range(m):
        order = np.argsort(losses[:, j], kind="stable")
        sorted_losses = losses[order, j] / 4  # prevents differences from overflowing
        spread = sorted_losses[-1] - sorted_losses[0]
        distance[order[[0, -1]]] = np.inf
        if n > 2 and spread > 0:
            distance[order[1:-1]] += (sorted_losses[2:] - sorted_losses[:-2]) / spread
    return distance


def order(losses: NDArray[np.float64]) -> list[int]:
    """Return the indices of `(n, m)` losses from best to worst; ties keep their order.

    Reference:
        K. Deb et al., A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II, 2002,
        section III.
    """
    if not len(losses):
        return []
    ranks = layers(losses, equals=True)
    distance = np.empty(len(losses))
    for rank in range(int(ranks.max()) + 1):
        front = ranks == rank
        distance[front] = crowding(losses[front])
    return [int(i) for i in np.lexsort((-distance, ranks))]
