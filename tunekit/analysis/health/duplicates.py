"""Tells whether trials are wasted on points that were tried before.

Equal points on one block count as repeated, except where results differ so much from trial to
trial that a repeat tells something new. In a finite space some repeats are to be expected: only
what goes beyond uniform draws is reported.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tunekit.analysis.health.evidence import EncodedTrials, Evidence, blocks_of
from tunekit.analysis.health.findings import MAX_NUMBERS, Finding, healthy, unknown
from tunekit.noise.replicates import UNMEASURED
from tunekit.records import TrialState
from tunekit.spaces import Int, Parameter

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_TRIALS = 10
MIN_REPEATED = 5
MIN_SHARE = 0.1
"""Share of repeated trials from which on they are reported."""
INFORMATIVE = 0.1
"""Noise, relative to the spread of all results, from which on a repeat tells something."""
MAX_OF_ONE = 5
"""Results of one point, beyond which a further one tells little, where most points have one."""

UNIT = "share of repeated trials"


def check(evidence: Evidence) -> Finding:
    """Return the finding."""
    started = evidence.started
    counts_here = [t.state not in UNMEASURED and t.branch is None for t in started.trials]
    points = started.where(np.array(counts_here, dtype=bool))
    n = len(points)
    if n < MIN_TRIALS:
        return unknown("duplicates", f"it needs {MIN_TRIALS} trials, and there are {n}.")
    cells = np.stack([points.keys, blocks_of(points)], axis=1)
    first, group, counts = np.unique(
        cells, axis=0, return_index=True, return_inverse=True, return_counts=True
    )[1:]
    group = group.ravel()
    is_first = np.zeros(n, dtype=bool)
    is_first[first] = True
    if _is_informative(points, group, counts):
        # Whoever measures points several times on purpose does so with most of them.
        is_on_purpose = float(np.median(counts)) > 1.0
        wasted = ~is_first & (counts[group] > MAX_OF_ONE) & (not is_on_purpose)
    else:
        wasted = ~is_first
    n_wasted = int(wasted.sum())
    share = n_wasted / n
    expected = _expected(evidence, points)
    if share < MIN_SHARE or n_wasted < MIN_REPEATED or n_wasted <= expected:
        return healthy("duplicates", f"{n_wasted} of {n} trials repeat a point.", share, UNIT)
    return _finding(evidence, points, wasted, group, counts)


def _is_informative(points: EncodedTrials, group: NDArray[Any], counts: NDArray[Any]) -> bool:
    """Return whether results of equal points differ by a noticeable part of all differences."""
    complete = np.array([t.state is TrialState.COMPLETE for t in points.trials], dtype=bool)
    several = complete & (counts[group] > 1)
    if not several.any():
        return False
    for k in range(points.losses.shape[1]):
        y = points.losses[:, k]
        spread = float(np.subtract(*np.percentile(y[complete], [75, 25]))) / 1.349
        sums = np.bincount(group[several], weights=y[several], minlength=len(counts))
        sizes = np.bincount(group[several], minlength=len(counts))
        means = sums / np.maximum(sizes, 1)
        residuals = (y - means[group])[several]
        dof = int(several.sum() - (sizes > 0).sum())
        if dof > 0 and math.sqrt(float(residuals @ residuals) / dof) > INFORMATIVE * spread:
            return bool(np.any(residuals))
    return False


def _expected(evidence: Evidence, points: EncodedTrials) -> float:
    """Return how many repeats draws from the prior rarely exceed; 0 in a space that is used up.

    Two draws of one branch coincide with the product of the chances of its columns; the number of
    coinciding pairs is an upper bound of the number of repeats.
    """
    if len(points) >= _size(evidence):
        return 0.0
    parents = {c.parent for p in evidence.space for c in p.conditions}
    columns = evidence.encoder.columns
    chances = np.array(
        [1.0 if c.path in parents else _chance(evidence.space.by_path[c.path]) for c in columns]
    )
    if not len(columns):
        return 0.0
    active, counts = np.unique(~np.isnan(points.units), axis=0, return_counts=True)
    each = np.prod(np.where(active, chances, 1.0), axis=1)
    pairs = float(np.sum(counts * (counts - 1) / 2.0 * each))
    return pairs + 3.0 * math.sqrt(pairs)


def _size(evidence: Evidence) -> float:
    return math.prod(c.size for c in evidence.encoder.columns)


def _chance(p: Parameter) -> float:
    """Return the probability that two draws of a parameter coincide."""
    domain = p.domain
    if not math.isfinite(domain.size):
        return 0.0
    if isinstance(domain, Int) and domain.log:
        edges = np.log(
            np.linspace(domain.lo - 0.5, domain.hi + 0.5, min(int(domain.size), 4096) + 1)
        )
        shares = np.diff(edges) / (edges[-1] - edges[0])
        return float(shares @ shares)
    return 1.0 / domain.size


def _finding(
    evidence: Evidence,
    points: EncodedTrials,
    wasted: NDArray[Any],
    group: NDArray[Any],
    counts: NDArray[Any],
) -> Finding:
    n, n_wasted = len(points), int(wasted.sum())
    most = int(np.argmax(counts))
    same = [t.number for t, g in zip(points.trials, group.tolist(), strict=True) if g == most]
    size = _size(evidence)
    if n >= size:
        advice = f"The space has only {size:.0f} points: stop the study, or widen its space."
    else:
        advice = (
            f"Give the study another sampler than {evidence.spec.sampler!r}, such as "
            "sampler='auto', which tries no point twice; or stop enqueueing points again."
        )
    return Finding(
        "duplicates",
        "sick",
        round(n_wasted / n, 4),
        UNIT,
        f"{n_wasted} of {n} trials repeat a point that was tried before; one point was tried "
        f"{int(counts[most])} times (trial {same[0]} was the first).",
        advice,
        trials=tuple(same[:MAX_NUMBERS]),
    )
