"""Expects no improvement where the objective is constant around trials that tie exactly.

A tree, a table that is looked up by its nearest row and an objective that rounds a number return
exactly the same value at distinct points of one piece. A smooth model does not know such pieces:
it expects improvement beside the best point, and measures one piece again and again. Where
neighbours tie, the score is therefore multiplied by the probability that a point does not lie in
their piece. Without ties there is no such factor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from tunekit.samplers.bayesian.candidates import Climb
from tunekit.samplers.bayesian.fitting import MAX_ROWS, chosen_rows
from tunekit.samplers.bayesian.training_data import Observed
from tunekit.spaces.encode import Encoder

MOST = 24
"""Maximum number of pieces to look after, those with the most trials."""

N_SIZES = 24
"""Number of sizes of a piece to weigh."""

SMALLEST = 1e-2
"""Smallest size, as a share of the largest distance between two trials."""

N_CHANCES = 6
"""Number of probabilities of a tie by chance to weigh."""

TINY = 1e-12
"""Least distance and probability, for repeated points."""


@dataclass(frozen=True, slots=True)
class KnownPieces:
    """The pieces on which the objective was found to be constant, one for each repeated value.

    A point at distance `d` from the nearest trial of a piece lies in it with probability
    `exp(-(d / size)^2)`. The sizes that a piece may have are weighed by the trials: those that
    tie say that it is large, those nearby that do not that it is small. A trial may also tie by
    chance, with the share of its value among the trials. Beforehand all sizes are equally
    probable, on a logarithmic scale.

    Attributes:
        x: `(k, d)` rows of the trials that tie, piece by piece, NaN where inactive.
        starts: `(p,)` position of each piece's first row.
        weights: `(p, s)` probabilities of the sizes of each piece.
        sizes: `(s,)` sizes of a piece.
        is_number: `(d,)` flags of the numeric columns.
    """

    x: NDArray[np.float64]
    starts: NDArray[np.int64]
    weights: NDArray[np.float64]
    sizes: NDArray[np.float64]
    is_number: NDArray[np.bool_]

    def log_probability(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return `(m,)` log probabilities that `(m, d)` rows lie in no piece that is known."""
        between = distances(x, self.x, self.is_number)
        return np.asarray(np.log(self._elsewhere(between)[0]).sum(axis=1))

    def probability(self, row: NDArray[np.float64]) -> float:
        """Return the probability that a `(d,)` row lies in no piece that is known, rounded."""
        return round(float(np.exp(self.log_probability(row[None])[0])), 4)

    def climber(self, rows: NDArray[np.float64]) -> Climb:
        """Return the same with `(m, d)` gradients, which are 0 except for active numbers."""
        return self._with_gradient

    def _with_gradient(
        self, x: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        between = distances(x, self.x, self.is_number)
        elsewhere, slope = self._elsewhere(between)
        counts = np.diff([*self.starts, len(self.x)])
        nearest = np.minimum.reduceat(between, self.starts, axis=1)
        is_nearest = between == np.repeat(nearest, counts, axis=1)
        # The slope of a distance is the unit vector away from the nearest trial.
        pull = is_nearest * np.repeat(slope / elsewhere, counts, axis=1)
        pull /= np.maximum(between, TINY)
        away = pull.sum(axis=1, keepdims=True) * filled(x) - pull @ filled(self.x)
        moves = self.is_number & ~np.isnan(x)
        return np.log(elsewhere).sum(axis=1), np.where(moves, away, 0.0)

    def _elsewhere(
        self, between: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return `(m, p)` probabilities of not lying in a piece, and slopes by distance."""
        z = np.minimum.reduceat(between, self.starts, axis=1)[:, :, None] / self.sizes
        inside = self.weights * np.exp(-z * z)
        slope = np.sum(inside * 2.0 * z / self.sizes, axis=2)
        return np.maximum(1.0 - np.sum(inside, axis=2), TINY), slope


def pieces_of(encoder: Encoder, data: Observed) -> KnownPieces | None:
    """Return the pieces that a study's trials show, `None` without ties or with a fidelity."""
    if data.fidelity is not None:  # a point that converges early ties with its longer runs
        return None
    is_number = np.array([c.kind != "categorical" for c in encoder.columns], dtype=bool)
    rows = chosen_rows(data.losses[:, 0], MAX_ROWS)
    return known_pieces(data.x[rows], data.losses[rows], is_number)


def known_pieces(
    x: NDArray[np.float64], losses: NDArray[np.float64], is_number: NDArray[np.bool_]
) -> KnownPieces | None:
    """Return the pieces that trials show, `None` where no two distinct points tie exactly.

    Args:
        x: `(n, d)` rows of the trials, NaN where inactive.
        losses: `(n, m)` losses of the trials, exactly as measured.
        is_number: `(d,)` flags of the numeric columns.
    """
    _, value, count = np.unique(losses, axis=0, return_inverse=True, return_counts=True)
    if count.max() == 1:
        return None
    between = distances(x, x, is_number)
    sizes = np.geomspace(SMALLEST, 1.0, N_SIZES) * max(between.max(), TINY)
    between[between == 0.0] = np.inf  # a repeated point says nothing
    members, weights = [], []
    for repeated in np.argsort(-count, kind="stable")[: min(MOST, (count > 1).sum())]:
        within = value.reshape(-1) == repeated
        if np.isfinite(between[np.ix_(within, within)]).any():
            members.append(np.flatnonzero(within))
            weights.append(_size_weights(between[:, within].min(axis=1), within, sizes))
    if not members:
        return None
    starts = np.cumsum([0, *(len(rows) for rows in members[:-1])])
    return KnownPieces(x[np.concatenate(members)], starts, np.array(weights), sizes, is_number)


def _size_weights(
    distance: NDArray[np.float64], within: NDArray[np.bool_], sizes: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return `(s,)` probabilities of the sizes of a piece.

    Args:
        distance: `(n,)` distances of the trials from the nearest other trial of the piece.
        within: `(n,)` flags of its trials.
        sizes: `(s,)` sizes.
    """
    inside = np.exp(-np.square(distance[:, None, None] / sizes))
    by_chance = np.geomspace(1.0 / len(within), 0.5, N_CHANCES)[:, None]
    tie = by_chance + (1.0 - by_chance) * inside
    likely = np.where(within[:, None, None], tie, np.maximum(1.0 - tie, TINY))
    log = np.log(likely).sum(axis=0)
    weights = np.exp(log - log.max()).sum(axis=0)
    return np.asarray(weights / weights.sum())


def distances(
    a: NDArray[np.float64], b: NDArray[np.float64], is_number: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return `(m, n)` distances of `(m, d)` from `(n, d)` rows.

    Another category counts as 1, and so does a parameter that is active in one row only.
    """
    squared = cdist(filled(a) * is_number, filled(b) * is_number, "sqeuclidean")
    labels = (np.where(np.isnan(r), -1.0, np.where(is_number, 0.0, r)) for r in (a, b))
    return np.asarray(np.sqrt(squared + a.shape[1] * cdist(*labels, "hamming")))


def filled(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the `(n, d)` rows with the middle of the range where a parameter is inactive."""
    return np.where(np.isnan(x), 0.5, x)
