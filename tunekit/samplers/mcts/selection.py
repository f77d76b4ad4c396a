"""Scores the edges of a node to select the next one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from tunekit.samplers.mcts.statistics import Statistics

if TYPE_CHECKING:
    from numpy.typing import NDArray


def max_biased(children: Statistics, weight: float, fallback: float) -> NDArray[np.float64]:
    """Return the `(k,)` values `Q = (1 - weight) * mean + weight * max` of the children.

    Optimisation needs the branch with the best leaf, not the best average. A child without a
    score has the value `fallback`.
    """
    mean = children.mean(fallback)
    best = np.where(children.scored > 0, children.best, fallback)
    return (1.0 - weight) * mean + weight * best


def ucb1(children: Statistics, exploration: float) -> NDArray[np.float64]:
    """Return `(k,)` scores `mean + exploration * sqrt(2 ln N / n)`, `inf` for unvisited children.

    Reference: Auer, Cesa-Bianchi & Fischer, 2002, "Finite-time analysis of the multiarmed bandit
    problem", figure 1 (with `exploration` 1), as DeepArchitect uses it.
    """
    n = children.visits
    total = max(float(n.sum()), 1.0)
    with np.errstate(divide="ignore"):
        bonus = np.sqrt(2.0 * math.log(total) / n) if total > 1 else np.where(n > 0, 0.0, np.inf)
    return np.where(n > 0, children.mean(0.0) + exploration * bonus, np.inf)


def ucb_tuned(
    q: NDArray[np.float64], children: Statistics, exploration: float
) -> NDArray[np.float64]:
    """Return `(k,)` scores `q + exploration * sqrt(ln N / n * min(1/4, V))`, `inf` if unvisited.

    `V` is the variance plus `sqrt(2 ln N / n)`: a branch with similar scores needs few visits.

    Reference: Auer, Cesa-Bianchi & Fischer, 2002, section 4 (UCB1-TUNED).
    """
    n = children.visits
    log_total = math.log(max(float(n.sum()), 1.0))
    ratio = log_total / np.maximum(n, 1e-12)
    spread = np.minimum(0.25, children.variance() + np.sqrt(2.0 * ratio))
    return np.where(n > 0, q + exploration * np.sqrt(ratio * spread), np.inf)


def puct(
    q: NDArray[np.float64],
    children: Statistics,
    exploration: float,
    *,
    prior: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return `(k,)` scores `q + exploration * prior * sqrt(N) / (1 + n)`.

    `prior` holds the `(k,)` prior shares of the children, which sum to 1.

    Reference: Silver et al., 2017, "Mastering the game of Go without human knowledge", methods,
    "Search algorithm: select"; N is at least 1, so that the prior decides the first visit.
    """
    total = max(float(children.visits.sum()), 1.0)
    return q + exploration * prior * math.sqrt(total) / (1.0 + children.visits)


def widened(
    scores: NDArray[np.float64], children: Statistics, width: float
) -> NDArray[np.float64]:
    """Return the `(k,)` scores, with unvisited children set to `-inf` once a node has enough.

    A node with N visits may have `max(2, width * sqrt(N))` children, so that a choice of a
    thousand values does not try each once before revisiting the first.

    Reference: Coulom, 2007, "Computing Elo ratings of move patterns in the game of Go",
    section 4.2; the form `k = C N^alpha` is from Couetoux et al., 2011.
    """
    known = children.visits > 0
    allowed = max(2.0, width * math.sqrt(float(children.visits.sum())))
    if known.sum() < allowed:
        return scores
    return np.where(known, scores, -np.inf)


def argmax(scores: NDArray[np.float64], rng: np.random.Generator) -> int:
    """Return the index of the largest of `(k,)` scores, a random one among ties."""
    top = np.flatnonzero(scores == scores.max())
    return int(top[0]) if len(top) == 1 else int(rng.choice(top))
