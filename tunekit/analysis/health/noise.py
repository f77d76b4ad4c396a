"""Tells whether the noise of the results drowns the improvement, by repeated points.

Results of equal points estimate the noise; means of different points, on the better side of where
the study started, estimate what the parameters change. A study is reported when the second is
smaller than `RATIO` standard deviations of the noise, in a one-sided F-test at `LEVEL`. Without
repeated points nothing is said: the residuals of a model would count its errors as noise.

Reference: Searle, Casella and McCulloch, 1992, "Variance components", section 3.6.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tunekit.analysis.health.evidence import EARLY, EncodedTrials, Evidence, blocks_of
from tunekit.analysis.health.findings import Finding, healthy, unknown

if TYPE_CHECKING:
    from numpy.typing import NDArray

    _Floats = NDArray[np.float64]

LEVEL = 0.02
RATIO = 1.0
MIN_REPEATS = 8
"""Minimum degrees of freedom of the noise."""
MIN_POINTS = 8
"""Minimum number of different points."""


@dataclass(frozen=True, slots=True)
class Repeats:
    """The results of one objective by point.

    Attributes:
        means: `(k,)` mean loss of each point, in the order of their first trials.
        counts: `(k,)` results of each.
        sd: standard deviation of the noise of one result; NaN without repeats.
        dof: degrees of freedom of it.
    """

    means: _Floats
    counts: NDArray[np.int64]
    sd: float
    dof: int


def repeats(points: EncodedTrials, k: int) -> Repeats:
    """Return the repeated results of objective `k`; block effects are taken out."""
    first, group = np.unique(points.keys, return_index=True, return_inverse=True)[1:]
    order = np.argsort(first, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    group = place[group]
    y = points.losses[:, k].copy()
    blocks = blocks_of(points)
    n_blocks = 0
    for block in np.unique(blocks) if len(np.unique(blocks)) < len(y) // 4 else ():
        n_blocks += 1
        mine = blocks == block
        # On each block, how far its results lie from the means of their points.
        y[mine] -= np.mean((y - _means(y, group)[0][group])[mine])
    means, counts = _means(y, group)
    several = counts[group] > 1
    residuals = (y - means[group])[several]
    dof = int(several.sum() - (counts > 1).sum() - max(0, n_blocks - 1))
    sd = math.sqrt(float(residuals @ residuals) / dof) if dof > 0 else math.nan
    return Repeats(means, counts, sd, max(0, dof))


def check(evidence: Evidence, *, level: float = LEVEL) -> Finding:
    """Return the finding, at a level of the test."""
    points = evidence.able
    names = [o.metric for o in evidence.history.objectives]
    best: Finding | None = None
    for k, name in enumerate(names):
        found = _of_metric(repeats(points, k), name, level)
        if found.is_sick:
            return found
        best = best or found
    assert best is not None
    return best


def _of_metric(found: Repeats, name: str, level: float) -> Finding:
    if found.dof < MIN_REPEATS or len(found.means) < MIN_POINTS:
        return unknown(
            "noise",
            f"it needs {MIN_REPEATS} repeats of {MIN_POINTS} or more points, and there are "
            f"{found.dof} of {len(found.means)}.",
        )
    gain = _reference(found.means) - float(np.min(found.means))
    unit = "standard deviation of the noise over the improvement"
    ratio = found.sd / gain if gain > 0.0 else math.inf
    number = round(ratio, 4) if math.isfinite(ratio) else None
    if not _is_drowned(found, level):
        text = f"{name} improved by {gain:.3g}, and its noise is {found.sd:.3g} (one sd)."
        return healthy("noise", text, number, unit)
    needed = max(2, math.ceil((4 * ratio) ** 2)) if math.isfinite(ratio) else 0
    times = f"{min(needed, 100)} times" if needed else "several times"
    return Finding(
        "noise",
        "sick",
        number,
        unit,
        f"the noise of {name} ({found.sd:.3g}, one standard deviation of {found.dof} repeats) is "
        "as large as what the parameters change: the best points are best by chance.",
        f"Measure each point {times} and average, or use the sampler 'racing', which repeats only "
        "promising points.",
    )


def _is_drowned(found: Repeats, level: float) -> bool:
    """Return whether the spread of the points is below `RATIO` sd of the noise, at a level."""
    from scipy.special import fdtri

    if found.sd == 0.0:
        return False
    reference = _reference(found.means)
    better = found.means < reference
    n = int(better.sum())
    if n < 4:
        return False
    weights = found.counts[better].astype(np.float64)
    gaps = (reference - found.means[better]) ** 2
    # A mean of r results scatters by sd^2 / r around its point.
    observed = float(np.mean(gaps * weights)) / found.sd**2
    expected = 1.0 + RATIO**2 * float(np.mean(weights))
    return observed < expected * float(fdtri(n, found.dof, level))


def _reference(means: _Floats) -> float:
    """Return a loss that stands for the study before it learnt: the early or overall median."""
    return max(float(np.median(means)), float(np.median(means[:EARLY])))


def _means(y: _Floats, group: NDArray[np.int64]) -> tuple[_Floats, NDArray[np.int64]]:
    counts = np.bincount(group)
    return np.bincount(group, weights=y) / counts, counts
