"""Searches a space for the row of highest score with a few thousand evaluations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tunekit.samplers.bayesian.candidates import Candidates, Climb


class RowScore(Protocol):
    """Scores rows; more is better."""

    def __call__(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return `(m,)` scores of `(m, d)` canonical rows."""
        ...

    def climber(self, rows: NDArray[np.float64]) -> Climb:
        """Return a score with gradients for `(m, d)` rows that keep these branches."""
        ...


@dataclass(frozen=True, slots=True)
class SearchSize:
    """Sets the number of candidates at each stage of a search.

    Attributes:
        n_random: number of uniform candidates.
        n_mutated: number of mutations of the best known rows.
        moves: (standard deviation, moves per start) of each round of local moves.
        n_starts: number of rows that local moves start from.
        n_climbed: number of rows that L-BFGS finally moves uphill.
    """

    n_random: int = 300
    n_mutated: int = 300
    moves: tuple[tuple[float, int], ...] = ((0.1, 20), (0.04, 20), (0.015, 20))
    n_starts: int = 10
    n_climbed: int = 5

    def ranked(
        self, score: RowScore, candidates: Candidates, good: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return `(m, d)` rows and their `(m,)` scores, the best first.

        Args:
            score: the score to maximise.
            candidates: of the space.
            good: `(k, d)` known rows to mutate, best first.

        Raises:
            InvalidSpace: no row satisfies the constraints of the space.
        """
        pool = np.concatenate(
            [
                candidates.random(self.n_random, known=good),
                candidates.mutations(good, self.n_mutated),
            ]
        )
        values = score(pool)
        for step, n in self.moves:
            top = pool[_best(values, self.n_starts)]
            pool, values = _joined(pool, values, candidates.around(top, n, step), score)
        top = pool[_best(values, self.n_climbed)]
        pool, values = _joined(pool, values, candidates.climbed(top, score.climber(top)), score)
        order = _best(values, len(values))
        return pool[order], values[order]


def keys(x: NDArray[np.float64]) -> list[bytes]:
    """Return a key for each of `(m, d)` rows, equal for rows of the same point."""
    return [row.tobytes() for row in x.round(9)]


def first_new(rows: NDArray[np.float64], before: NDArray[np.float64]) -> int | None:
    """Return the index of the first of `(m, d)` rows that is not among `(n, d)` others."""
    known = set(keys(before))
    return next((i for i, key in enumerate(keys(rows)) if key not in known), None)


def _best(values: NDArray[np.float64], n: int) -> NDArray[np.int64]:
    """Return the indices of the best of `(m,)` scores, in descending order."""
    return np.argsort(-values, kind="stable")[:n]


def _joined(
    pool: NDArray[np.float64],
    values: NDArray[np.float64],
    more: NDArray[np.float64],
    score: RowScore,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if not len(more):
        return pool, values
    return np.concatenate([pool, more]), np.concatenate([values, score(more)])
