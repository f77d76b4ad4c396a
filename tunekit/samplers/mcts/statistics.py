"""Back-up: accumulates the scores of trials at the nodes on their paths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Statistics:
    """Sums over trials, per node.

    Attributes:
        visits: `(n_nodes,)`, number of trials through the node, including pending ones.
        scored: `(n_nodes,)`, number of these with a score; fractional after pooling.
        total: `(n_nodes,)`, sum of the scores.
        squares: `(n_nodes,)`, sum of the squared scores.
        best: `(n_nodes,)`, largest score, 0 without scores.
    """

    visits: NDArray[np.float64]
    scored: NDArray[np.float64]
    total: NDArray[np.float64]
    squares: NDArray[np.float64]
    best: NDArray[np.float64]

    def at(self, nodes: Sequence[int]) -> Statistics:
        """Return the statistics of the given nodes, in order; -1 denotes an unvisited node."""
        index = np.asarray(nodes, dtype=np.intp)
        known = index >= 0
        rows = np.where(known, index, 0)
        return Statistics(
            np.where(known, self.visits[rows], 0.0),
            np.where(known, self.scored[rows], 0.0),
            np.where(known, self.total[rows], 0.0),
            np.where(known, self.squares[rows], 0.0),
            np.where(known, self.best[rows], 0.0),
        )

    def mean(self, fallback: float) -> NDArray[np.float64]:
        """Return `(n_nodes,)` mean scores, `fallback` for nodes without scores."""
        return np.where(self.scored > 0, self.total / np.maximum(self.scored, 1e-12), fallback)

    def variance(self) -> NDArray[np.float64]:
        """Return `(n_nodes,)` variances of the scores, 0 for nodes without scores."""
        # Var s = E[s^2] - E[s]^2; the difference may round below 0
        n = np.maximum(self.scored, 1e-12)
        return np.maximum(self.squares / n - (self.total / n) ** 2, 0.0)


def backed_up(
    paths: Sequence[Sequence[int]], scores: NDArray[np.float64], n_nodes: int
) -> Statistics:
    """Return the statistics of all nodes after adding every trial's score along its path.

    A pending trial counts as a visit without a score, so that a second worker looks elsewhere
    without the branch appearing bad.

    Args:
        paths: the nodes on each trial's path.
        scores: `(n,)` scores, NaN for pending trials.
        n_nodes: number of nodes, at least 1.

    Reference: Liu, Chen, Yu, Zhai, Zhou & Liu, 2020, "Watch the unobserved: a simple approach to
    parallelizing Monte Carlo tree search", eq. 4 (visits are N + O, scores are over N).
    """
    lengths = [len(path) for path in paths]
    nodes = np.fromiter(chain.from_iterable(paths), dtype=np.intp, count=sum(lengths))
    spread = np.repeat(np.asarray(scores, dtype=np.float64), lengths)
    has_score = ~np.isnan(spread)
    value = np.where(has_score, spread, 0.0)
    best = np.zeros(n_nodes)
    np.maximum.at(best, nodes, value)

    def summed(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(nodes, weights, n_nodes).astype(np.float64)

    return Statistics(
        np.bincount(nodes, minlength=n_nodes).astype(np.float64),
        summed(has_score.astype(np.float64)),
        summed(value),
        summed(value**2),
        best,
    )


def pooled(own: Statistics, everywhere: Statistics, limit: float) -> Statistics:
    """Return the statistics of edges with up to `limit` visits borrowed from other nodes.

    The same (parameter, value) under other decisions is informative here as well, most of all in
    a branch with little data; the borrowed part fades as the branch gets its own visits.
    `everywhere` sums the same edges over all nodes, including this one.

    Reference: Gelly & Silver, 2011, "Monte-Carlo tree search and rapid action value estimation in
    computer Go", section 4 (there as a weight in k / (k + n), here as k pseudo-visits).
    """
    elsewhere = everywhere.visits - own.visits
    share = np.where(elsewhere > limit, limit / np.maximum(elsewhere, 1e-12), 1.0)
    scored = own.scored + share * (everywhere.scored - own.scored)
    borrowed = scored - own.scored
    best = (own.scored * own.best + borrowed * everywhere.best) / np.maximum(scored, 1e-12)
    return Statistics(
        own.visits + share * elsewhere,
        scored,
        own.total + share * (everywhere.total - own.total),
        own.squares + share * (everywhere.squares - own.squares),
        best,
    )
