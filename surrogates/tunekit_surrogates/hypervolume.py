"""Fronts of points of which less is better, and boxes that tile what lies before a front."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tunekit_surrogates.blocks import Floats

MARGIN = 0.1
"""How far beyond the worst values of a front its reference point lies, as a share of its range."""

FULL = 16
"""Points beside the first from which a front of two objectives is no small one; of `m` objectives
`(m - 1) ** 2` times fewer, because more of any points are on the front then."""


def non_dominated(y: Floats) -> NDArray[np.bool_]:
    """Return `(n,)` which of `(n, m)` points no other dominates; of equal ones the first."""
    better = np.all(y[:, None] <= y[None], axis=2)
    equal = better & better.T
    earlier = np.tri(len(y), k=-1, dtype=bool).T  # [i, j]: i comes before j
    return np.asarray(~np.any(better & (~equal | earlier), axis=0))


def layers(y: Floats) -> NDArray[np.int64]:
    """Return `(n,)` layers: 0 for the front, 1 for the front of the rest, and so on."""
    out = np.full(len(y), -1)
    layer = 0
    while (rest := np.flatnonzero(out < 0)).size:
        out[rest[non_dominated(y[rest])]] = layer
        layer += 1
    return out


def reference_point(y: Floats) -> Floats:
    """Return `(m,)`: the worst of the front of `(n, m)` points, and a tenth of its range more.

    A front of a few points may lie in a corner, and what would widen it would not count. So as
    long as it is small, the reference lies on the way from the worst of all points to there.

    Where all points of the front are equal in an objective, the range of all points counts, and
    where that is 0 too, 1.

    Reference: Ishibuchi, Imada, Setoguchi and Nojima, 2018, "How to specify a reference point in
    hypervolume calculation for fair performance comparison" (the end of the way); the way itself
    was measured here.
    """
    front = y[non_dominated(y)]
    worst = front.max(axis=0)
    spread, of_all = worst - front.min(axis=0), np.ptp(y, axis=0)
    spread = np.where(spread > 0, spread, np.where(of_all > 0, of_all, 1.0))
    near = worst + MARGIN * spread
    share = min(1.0, (len(front) - 1) * (y.shape[1] - 1) ** 2 / FULL)
    return np.asarray(np.maximum(near, share * near + (1.0 - share) * y.max(axis=0)))


def hypervolume(y: Floats, reference: Floats) -> float:
    """Return the volume that `(n, m)` points dominate before the reference point."""
    lower, upper = _tiles(*_upper_bounds(y, reference), reference)
    return float(np.prod(upper - lower, axis=1).sum())


def open_boxes(y: Floats, reference: Floats) -> tuple[Floats, Floats]:
    """Return `(b, m)` lower and upper corners of boxes that tile what `(n, m)` points leave open.

    That is where a new point would add to the hypervolume: it lies before the reference point and
    no point dominates it. Lower corners may be `-inf`.

    Reference: Lacour, Klamroth and Fonseca, 2017, "A box decomposition algorithm to compute the
    hypervolume indicator", algorithm 1 and eq. 8. What a front leaves open is what its upper
    bounds dominate when all signs are turned: Yang et al., 2019, "Efficient computation of
    expected hypervolume improvement using box decomposition algorithms", section 4.
    """
    bounds, _ = _upper_bounds(y, reference)
    end = np.full(len(reference), np.inf)
    lower, upper = _tiles(*_upper_bounds(-bounds, end), end)
    return -upper, -lower


def _upper_bounds(y: Floats, reference: Floats) -> tuple[Floats, Floats]:
    """Return `(u, m)` local upper bounds and, `(u, m, m)`, the points that define each.

    Bound `u` has its component `j` from its defining point `j`.
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
            keep = z[j] >= others  # else the bound is not a local one: another one covers it
            lowered, by = u[keep].copy(), d[keep].copy()
            lowered[:, j], by[:, j] = z[j], z
            parts.append(lowered)
            points.append(by)
        bounds, defining = np.concatenate(parts), np.concatenate(points)
    return bounds, defining


def _tiles(bounds: Floats, defining: Floats, reference: Floats) -> tuple[Floats, Floats]:
    """Return the corners of disjoint boxes that tile what is dominated (eq. 8)."""
    lower, upper = np.empty_like(bounds), bounds.copy()
    lower[:, 0], upper[:, 0] = defining[:, 0, 0], reference[0]
    for j in range(1, bounds.shape[1]):
        lower[:, j] = defining[:, :j, j].max(axis=1)
    full = np.all(upper > lower, axis=1)
    return lower[full], upper[full]
