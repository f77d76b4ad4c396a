"""Computes normalised regret: 0 equals the best known, 1 random search at the same budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tunekit.errors import InvalidArgument

if TYPE_CHECKING:
    from numpy.typing import NDArray

N_RUNS = 2000
"""Number of bootstrapped runs of random search; their median defines regret 1."""

N_BOOTSTRAP = 2000
"""Number of bootstrap resamples for an interval."""

NOTHING_YET = 0.95
"""Quantile of random losses credited to a run before its first result."""

_TINY = 1e-9
"""Minimum distance of the median from the best, as a share of the pool's spread."""


@dataclass(frozen=True, slots=True)
class LossScale:
    """Converts losses of one problem to normalised regret.

    Attributes:
        best: loss at regret 0.
        is_known: whether the problem declares `best`; else it is the best random point.
        medians: one per trial, median over random runs of the best loss so far.
        nothing: loss credited before the first result.
        n_points: number of random points in the pool.
        n_failed: number of points that failed or were infeasible.
        is_hypervolume: whether losses are negative hypervolumes.
    """

    best: float
    is_known: bool
    medians: tuple[float, ...]
    nothing: float
    n_points: int
    n_failed: int
    is_hypervolume: bool = False


def scale_of(
    pool: NDArray[np.float64], *, n_trials: int, best_known: float | None = None
) -> LossScale:
    """Compute the loss scale from the losses of random points.

    Args:
        pool: float64[n], losses; NaN for points that failed.
        n_trials: trial budget.
        best_known: loss; `None` takes the best of the pool.

    Raises:
        InvalidArgument: every point failed, or all have the same loss.
    """
    finite = pool[np.isfinite(pool)]
    if not finite.size or (finite.min() == finite.max() and best_known in (None, finite[0])):
        raise InvalidArgument(
            f"{len(finite)} of {len(pool)} random points have a result, with "
            f"{len(np.unique(finite))} distinct losses; expected at least two distinct losses: "
            "check the problem's objective and constraints."
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
    """Return float64[n_trials], the best loss so far; failed and missing trials change nothing."""
    padded = np.full(n_trials, np.inf)
    padded[: len(losses)] = [np.inf if v is None else v for v in losses]
    best = np.minimum.accumulate(padded)
    return np.where(np.isinf(best), nothing, best)


def normalised(losses: Sequence[float | None], scale: LossScale) -> NDArray[np.float64]:
    """Return float64[n_trials], normalised regret after each trial; negative beats `best`.

    Once random search (nearly) reaches the best known, its last larger gap stays the
    denominator, which avoids a division by zero.
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
    """Return the bootstrap interval, over seeds, of the mean over problems.

    Args:
        values: float64[n_seeds] for each problem. Each resample draws seeds within a problem
            and keeps the set of problems.
        level: coverage of the interval, in (0, 1).
    """
    rng = np.random.default_rng(0)
    means = [v[rng.integers(len(v), size=(N_BOOTSTRAP, len(v)))].mean(axis=1) for v in values]
    low, high = np.quantile(np.mean(means, axis=0), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return float64[n_problems, n_contenders], ranks in each row from 1 (lowest value).

    Tied contenders get their mean rank.

    Args:
        values: float64[n_problems, n_contenders].
    """
    below = (values[:, :, None] > values[:, None, :]).sum(axis=2)
    equal = (values[:, :, None] == values[:, None, :]).sum(axis=2)
    ranked: NDArray[np.float64] = 1.0 + below + (equal - 1) / 2
    return ranked
