"""Back-up: what the trials that passed through a node say of it, as arrays over the nodes."""

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
    """Sums over trials; all arrays have the shape `(n_nodes,)`.

    Attributes:
        visits: trials that passed through the node, pending ones included.
        scored: those of them that have a score. A pooled count may be a fraction.
        total: the sum of the scores.
        squares: the sum of their squares.
        best: the largest of them, 0 where there is none.
    """

    visits: NDArray[np.float64]
    scored: NDArray[np.float64]
    total: NDArray[np.float64]
    squares: NDArray[np.float64]
    best: NDArray[np.float64]

    def at(self, nodes: Sequence[int]) -> Statistics:
        """Return the statistics of some nodes, in order; -1 stands for one never visited."""
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
        """Return the mean score, or `fallback` where there is no score."""
        return np.where(self.scored > 0, self.total / np.maximum(self.scored, 1e-12), fallback)

    def variance(self) -> NDArray[np.float64]:
        """Return the variance of the scores, 0 where there is none."""
        n = np.maximum(self.scored, 1e-12)
        return np.maximum(self.squares / n - (self.total / n) ** 2, 0.0)


def backed_up(
    paths: Sequence[Sequence[int]], scores: NDArray[np.float64], n_nodes: int
) -> Statistics:
    """Return the statistics of all nodes after every trial has added its score to its path.

    A pending trial counts as a visit and adds no score, so that a second worker looks elsewhere
    without the branch being thought bad.

    Args:
        paths: for each trial the nodes that it passed through.
        scores: `(n,)`, NaN for a pending trial.
        n_nodes: how many nodes there are; one at least.

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
    """Return the statistics of some edges with at most `limit` visits borrowed from elsewhere.

    The same (parameter, value) under other decisions says something of it here as well, most
    where little is known here; what is borrowed fades as a branch gets visits of its own.
    `everywhere` counts the same edges at all nodes, this one included.

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
