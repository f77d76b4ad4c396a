"""Normalised regret: 0 is the best known, 1 what random search reaches after as many trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tunekit.errors import InvalidArgument

if TYPE_CHECKING:
    from numpy.typing import NDArray

N_RUNS = 2000
"""Number of bootstrapped runs of random search, whose median is the yardstick."""

N_BOOTSTRAP = 2000
"""Number of resamples of an interval."""

NOTHING_YET = 0.95
"""Until a first result, a run counts as good as this quantile of random points."""

_TINY = 1e-9
"""Minimum distance of the median from the best, as a share of the pool's spread."""


@dataclass(frozen=True, slots=True)
class LossScale:
    """What the losses of one problem are measured with.

    Attributes:
        best: the loss that counts as regret 0.
        is_known: whether `best` is the problem's own, not the best random point.
        medians: `(n_trials,)` median over random runs of their best loss so far.
        nothing: the loss that stands for "no result yet".
        n_points: random points behind it.
        n_failed: how many of them failed or were infeasible.
    """

    best: float
    is_known: bool
    medians: tuple[float, ...]
    nothing: float
    n_points: int
    n_failed: int


def scale_of(
    pool: NDArray[np.float64], *, n_trials: int, best_known: float | None = None
) -> LossScale:
    """Return the scale that follows from losses of random points.

    Args:
        pool: `(n,)` losses, NaN where a point failed.
        n_trials: the budget.
        best_known: loss; `None` takes the best of the pool.

    Raises:
        InvalidArgument: every point failed, or all have the same loss.
    """
    finite = pool[np.isfinite(pool)]
    if not finite.size or (finite.min() == finite.max() and best_known in (None, finite[0])):
        raise InvalidArgument(
            f"{len(finite)} of {len(pool)} random points have a result, with "
            f"{len(np.unique(finite))} different losses; expected a problem with several."
        )
    nothing = float(np.quantile(finite, NOTHING_YET))
    losses = np.where(np.isfinite(pool), pool, np.inf)
    rng = np.random.default_rng(len(pool))
    runs = losses[rng.integers(len(losses), size=(N_RUNS, n_trials))]
    best_so_far = np.minimum.accumulate(runs, axis=1)
    best_so_far[np.isinf(best_so_far)] = nothing
    return LossScale(
        best=float(finite.min()) if best_known is None else best_known,
        is_known=best_known is not None,
        medians=tuple(np.median(best_so_far, axis=0).tolist()),
        nothing=nothing,
        n_points=len(pool),
        n_failed=len(pool) - len(finite),
    )


def best_so_far(
    losses: Sequence[float | None], n_trials: int, *, nothing: float
) -> NDArray[np.float64]:
    """Return `(n_trials,)` best losses; failed trials, and those after an early end, add none."""
    padded = np.full(n_trials, np.inf)
    padded[: len(losses)] = [np.inf if v is None else v for v in losses]
    best = np.minimum.accumulate(padded)
    return np.where(np.isinf(best), nothing, best)


def normalised(losses: Sequence[float | None], scale: LossScale) -> NDArray[np.float64]:
    """Return `(n_trials,)` normalised regret after each trial; below 0 where `best` is beaten.

    Where random search has (nearly) reached the best known, the distance that it had before
    stays the yardstick, so that no regret is divided by zero.
    """
    medians = np.asarray(scale.medians)
    gaps = np.maximum(medians - scale.best, 0.0)
    usable = gaps > _TINY * max(gaps[0], abs(scale.nothing - scale.best))
    if not usable.any():
        gaps, usable = np.full_like(gaps, abs(scale.nothing - scale.best) or 1.0), gaps >= 0
    last = np.maximum.accumulate(np.where(usable, np.arange(len(gaps)), -1))
    gaps = gaps[np.where(last < 0, int(np.argmax(usable)), last)]
    return (best_so_far(losses, len(medians), nothing=scale.nothing) - scale.best) / gaps


def interval(values: Sequence[NDArray[np.float64]], *, level: float = 0.95) -> tuple[float, float]:
    """Return the bootstrap interval over seeds of the mean over problems.

    Args:
        values: for each problem, `(n_seeds,)`; the seeds of each are drawn anew, the problems
            are the same in every resample.
        level: share of the resamples that it covers.
    """
    rng = np.random.default_rng(0)
    means = [v[rng.integers(len(v), size=(N_BOOTSTRAP, len(v)))].mean(axis=1) for v in values]
    low, high = np.quantile(np.mean(means, axis=0), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return `(n_problems, n_contenders)` ranks from 1 (least) in each row; ties share theirs."""
    below = (values[:, :, None] > values[:, None, :]).sum(axis=2)
    equal = (values[:, :, None] == values[:, None, :]).sum(axis=2)
    ranked: NDArray[np.float64] = 1.0 + below + (equal - 1) / 2
    return ranked
