"""The volume that points to minimise dominate, and boxes that tile what a front leaves open."""

from __future__ import annotations

import numpy as np

from tunekit_surrogates.blocks import Floats
from tunekit_surrogates.non_domination import non_dominated

MARGIN = 0.1
"""Distance of the reference point beyond the front's worst values, as a share of its range."""

FULL = 8
"""A front of two objectives counts as small up to this many points beyond the first. With `m`
objectives the limit is `(m - 1) ** 2` times lower, because more points are non-dominated."""


def reference_point(y: Floats) -> Floats:
    """Return the `(m,)` reference point: a tenth of its range beyond the worst of the front.

    A small front may lie in a corner, and points that widen it would add no volume. While the
    front is small, the reference point therefore moves gradually from the worst of all `(n, m)`
    points to its final place.

    In an objective where the front has no range, the range of all points replaces it; if that is
    0 too, 1 does.

    Reference: Ishibuchi, Imada, Setoguchi and Nojima, 2018, "How to specify a reference point in
    hypervolume calculation for fair performance comparison" (the final place); the interpolation
    was chosen by measurement here.
    """
    front = y[non_dominated(y)]
    worst = front.max(axis=0)
    spread, of_all = worst - front.min(axis=0), np.ptp(y, axis=0)
    spread = np.where(spread > 0, spread, np.where(of_all > 0, of_all, 1.0))
    near = worst + MARGIN * spread
    share = min(1.0, (len(front) - 1) * (y.shape[1] - 1) ** 2 / FULL)
    return np.asarray(np.maximum(near, share * near + (1.0 - share) * y.max(axis=0)))


def hypervolume(y: Floats, reference: Floats) -> float:
    """Return the hypervolume that `(n, m)` points dominate up to the `(m,)` reference point."""
    lower, upper = _tiles(*_upper_bounds(y, reference), reference)
    return float(np.prod(upper - lower, axis=1).sum())


def open_boxes(y: Floats, reference: Floats) -> tuple[Floats, Floats]:
    """Return `(b, m)` lower and upper corners of boxes that tile what `(n, m)` points leave open.

    A new point adds to the hypervolume exactly in this region: it is better than the reference
    point and no point dominates it. Lower corners may be `-inf`.

    Reference: Lacour, Klamroth and Fonseca, 2017, "A box decomposition algorithm to compute the
    hypervolume indicator", algorithm 1 and eq. 8. With all signs flipped, the open region of a
    front is what its upper bounds dominate: Yang et al., 2019, "Efficient computation of
    expected hypervolume improvement using box decomposition algorithms", section 4.
    """
    bounds, _ = _upper_bounds(y, reference)
    end = np.full(len(reference), np.inf)
    lower, upper = _tiles(*_upper_bounds(-bounds, end), end)
    return -upper, -lower


def _upper_bounds(y: Floats, reference: Floats) -> tuple[Floats, Floats]:
    """Return `(u, m)` local upper bounds and the `(u, m, m)` points that define them.

    Component `j` of a bound comes from its defining point `j`.
    """
    m = len(reference)
    dummies = np.full((m, m), -np.inf)
    np.fill_diagonal(dummies, reference)
    bounds, defining = reference[None].copy(), dummies[None]
    front = y[non_dominated(y)]
    for z in front[np.lexsort(front.T[::-1])]:
        hit = np.all(z < bounds, axis=1)
        if not hit.any():
            continue
        parts, points = [bounds[~hit]], [defining[~hit]]
        u, d = bounds[hit], defining[hit]
        for j in range(m):
            others = np.delete(d[:, :, j], j, axis=1).max(axis=1)
            keep = z[j] >= others  # otherwise another bound covers it
            lowered, by = u[keep].copy(), d[keep].copy()
            lowered[:, j], by[:, j] = z[j], z
            parts.append(lowered)
            points.append(by)
        bounds, defining = np.concatenate(parts), np.concatenate(points)
    return bounds, defining


def _tiles(bounds: Floats, defining: Floats, reference: Floats) -> tuple[Floats, Floats]:
    """Return `(b, m)` lower and upper corners of disjoint boxes that tile the dominated region.

    Eq. 8: box `u` spans from `defining[u, 0, 0]` to the reference point in objective 0, and from
    the largest component `j` of the defining points before `j` to the bound in objective `j`.
    """
    lower, upper = np.empty_like(bounds), bounds.copy()
    lower[:, 0], upper[:, 0] = defining[:, 0, 0], reference[0]
    for j in range(1, bounds.shape[1]):
        lower[:, j] = defining[:, :j, j].max(axis=1)
    full = np.all(upper > lower, axis=1)
    return lower[full], upper[full]
