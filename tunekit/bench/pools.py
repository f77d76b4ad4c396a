"""Evaluates random points of a problem as the reference for its regret; caches them in files."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tunekit.bench.growing_front import front_scale
from tunekit.bench.outcomes import exact_losses, feasible_losses, measured
from tunekit.bench.problem import N_REFERENCE, Problem
from tunekit.bench.regret import LossScale, scale_of
from tunekit.bench.sources import ProblemSource, problems_of
from tunekit.records import TrialRecord, TrialState
from tunekit.samplers.base import sample
from tunekit.samplers.random_streams import stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

POOL_SEED = 1 << 40
"""Far from the seeds of studies, so that no contender proposes the points of the pool."""

N_CHECKED = 3
"""Points of a cached pool to re-evaluate; they reveal whether the problem has changed."""


@dataclass(frozen=True, slots=True)
class PoolTask:
    """Computes the loss scale of one problem, from a cached pool if there is one.

    Attributes:
        n_points: number of random points; `None` takes the problem's tag `pool`, else
            `N_REFERENCE`.
        n_trials: trial budget that the scale covers.
        folder: cache folder of the pools.
    """

    source: ProblemSource
    problem: str
    n_points: int | None
    n_trials: int
    folder: Path

    def run(self) -> LossScale:
        """Return the scale."""
        problem = problems_of(self.source)[self.problem]
        n = self.n_points or int(problem.tags.get("pool", N_REFERENCE))
        losses = kept_pool(problem, n, path=self.folder / self._file(n))
        best = problem.best_known
        if len(problem.objectives) > 1:
            return front_scale(losses, problem.reference, n_trials=self.n_trials, best_known=best)
        known = None if best is None else problem.objectives[0].loss(best)
        return scale_of(losses, n_trials=self.n_trials, best_known=known)

    def _file(self, n_points: int) -> str:
        return f"{self.problem.replace('/', '--')}-{self.source.seed}-{n_points}.npy"


def kept_pool(problem: Problem, n_points: int, *, path: Path) -> NDArray[np.float64]:
    """Load the losses of `random_losses` cached at `path`, or compute and cache them."""
    if path.exists():
        losses: NDArray[np.float64] = np.load(path, allow_pickle=False)
        again = random_losses(problem, range(min(N_CHECKED, n_points)))
        same_shape = losses.shape[1:] == again.shape[1:]
        if same_shape and np.allclose(losses[: len(again)], again, rtol=1e-6, equal_nan=True):
            return losses
    losses = random_losses(problem, range(n_points))
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.npy")
    np.save(partial, losses, allow_pickle=False)
    partial.replace(path)
    return losses


def random_losses(problem: Problem, numbers: Sequence[int]) -> NDArray[np.float64]:
    """Return noise-free losses of random points; NaN if failed or infeasible.

    The shape is `(n,)` for one objective and `(n, m)` for several.
    """
    losses = np.full((len(numbers), len(problem.objectives)), math.nan)
    for i, number in enumerate(numbers):
        point = sample(problem.space, stream(POOL_SEED, number))
        record = measured(problem, TrialRecord(number, TrialState.RUNNING, params=point))
        exact = exact_losses(problem, record, feasible_losses(problem, record))
        if exact is not None:
            losses[i] = exact
    return losses if len(problem.objectives) > 1 else losses[:, 0]
