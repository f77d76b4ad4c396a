"""Scores runs with several objectives by the hypervolume that their fronts have reached."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tunekit.bench.regret import LossScale
from tunekit.errors import InvalidArgument
from tunekit_surrogates.hypervolume import hypervolume

if TYPE_CHECKING:
    from numpy.typing import NDArray

N_FRONT_RUNS = 200
"""Number of bootstrapped runs of random search whose median hypervolume defines regret 1; a tenth
of it from four objectives on, where a hypervolume takes milliseconds."""


class GrowingFront:
    """Collects points and gives the hypervolume they dominate up to a reference point.

    Args:
        reference: `(m,)` reference point, as losses.
    """

    def __init__(self, reference: Sequence[float]) -> None:
        self._reference = np.asarray(reference, dtype=np.float64)
        self._front = np.empty((0, len(self._reference)))
        self.hypervolume = 0.0

    def add(self, losses: Sequence[float]) -> float:
        """Add a point and return the hypervolume of all points so far."""
        point = np.asarray(losses, dtype=np.float64)
        is_better = np.all(point < self._reference)
        if not is_better or np.any(np.all(self._front <= point, axis=1)):
            return self.hypervolume
        kept = ~np.all(point <= self._front, axis=1)
        self._front = np.vstack([self._front[kept], point])
        self.hypervolume = hypervolume(self._front, self._reference)
        return self.hypervolume


def front_scale(
    pool: NDArray[np.float64],
    reference: Sequence[float],
    *,
    n_trials: int,
    best_known: float | None = None,
) -> LossScale:
    """Compute the loss scale, whose losses are negative hypervolumes.

    Args:
        pool: float64[n, m], losses of random points; NaN for points that failed.
        reference: `(m,)` reference point.
        n_trials: trial budget.
        best_known: hypervolume; `None` takes that of the pool.

    Raises:
        InvalidArgument: no point of the pool dominates the reference point.
    """
    usable = np.all(np.isfinite(pool), axis=1)
    better = pool[usable & np.all(pool < np.asarray(reference), axis=1)]
    if not len(better):
        raise InvalidArgument(
            f"None of {len(pool)} random points, {int(usable.sum())} of them feasible, dominates "
            f"the reference point {tuple(reference)}; move it away from the front."
        )
    rng = np.random.default_rng(len(pool))
    n_runs = N_FRONT_RUNS if pool.shape[1] < 4 else N_FRONT_RUNS // 10
    runs = rng.integers(len(pool), size=(n_runs, n_trials))
    reached = np.empty(runs.shape)
    for i, run in enumerate(runs):
        front = GrowingFront(reference)
        reached[i] = [front.add(pool[k]) if usable[k] else front.hypervolume for k in run]
    return LossScale(
        best=-(hypervolume(better, np.asarray(reference)) if best_known is None else best_known),
        is_known=best_known is not None,
        medians=tuple((-np.median(reached, axis=0)).tolist()),
        nothing=0.0,
        n_points=len(pool),
        n_failed=len(pool) - int(usable.sum()),
        is_hypervolume=True,
    )
