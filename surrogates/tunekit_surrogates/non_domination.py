"""Fronts and layers of points to minimise, by one sort and one sweep.

In lexicographic order only an earlier point can dominate a later one. With two objectives the
sweep then needs the least second value so far, `O(n log n)` in all; with more it compares each
block of points with the front before it and with itself.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    _Floats: TypeAlias = NDArray[np.float64]
    _Flags: TypeAlias = NDArray[np.bool_]

BLOCK = 256
"""Number of points compared at once; bounds the memory of a comparison."""


def non_dominated(y: _Floats, *, equals: bool = False) -> _Flags:
    """Return `(n,)` flags of the non-dominated `(n, m)` points.

    A point dominates another if it is nowhere worse and better in at least one objective. Values
    may be infinite; NaN counts as the worst value.

    Args:
        y: points to minimise.
        equals: count all of equal points, and not only the first.
    """
    y = _ordered(y)
    order, first = _sorted(y)
    flags = np.zeros(len(y), dtype=bool)
    flags[order[first][_sweep(y[order[first]])]] = True
    if equals:
        flags[order] = flags[order[first]][np.cumsum(first) - 1]
    return flags


def layers(y: _Floats, *, equals: bool = False) -> NDArray[np.int64]:
    """Return `(n,)` non-domination ranks: 0 for the front, 1 for the front of the rest, etc.

    Args:
        y: `(n, m)` points to minimise; see `non_dominated`.
        equals: give equal points one layer, and not one after the other.
    """
    y = _ordered(y)
    order, first = _sorted(y)
    swept = y[order[first]] if equals else y[order]
    ranks = _layers_by_last(swept) if y.shape[1] <= 2 else _peeled(swept)
    out = np.empty(len(y), dtype=np.int64)
    out[order] = ranks[np.cumsum(first) - 1] if equals else ranks
    return out


def _ordered(y: _Floats) -> _Floats:
    """Return the points with NaN as the worst value, because NaN has no place in an order."""
    return np.where(np.isnan(y), np.inf, y)


def _sorted(y: _Floats) -> tuple[NDArray[np.intp], _Flags]:
    """Return the stable lexicographic order, and in it the flags of points unequal to the last."""
    order = np.lexsort(y.T[::-1])
    first = np.ones(len(y), dtype=bool)
    if len(y) > 1:
        ranked = y[order]
        first[1:] = (ranked[1:] != ranked[:-1]).any(axis=1)
    return order, first


def _sweep(y: _Floats) -> _Flags:
    """Return the flags of sorted points that no earlier one equals or dominates."""
    keep = np.zeros(len(y), dtype=bool)
    if y.shape[1] <= 2:
        least = np.minimum.accumulate(y[:, -1])
        keep[:1] = True
        keep[1:] = y[1:, -1] < least[:-1]
        return keep
    front = y[:0]
    for start in range(0, len(y), BLOCK):
        rows = start + np.flatnonzero(~_covers(front, y[start : start + BLOCK]).any(axis=0))
        block = y[rows]
        rows = rows[~np.triu(_covers(block, block), 1).any(axis=0)]
        keep[rows] = True
        front = y[keep]
    return keep


def _covers(earlier: _Floats, later: _Floats) -> _Flags:
    """Return `(a, b)` whether an earlier point is nowhere worse; the first objective is sorted."""
    found = earlier[:, None, 1] <= later[None, :, 1]
    for j in range(2, later.shape[1]):
        found &= earlier[:, None, j] <= later[None, :, j]
    return found


def _layers_by_last(y: _Floats) -> NDArray[np.int64]:
    """Return the layers of sorted points with one or two objectives.

    The least last values of the layers ascend, and a layer covers a point if its least one is
    not above the point's.

    Reference: M. Jensen, 2003, "Reducing the run-time complexity of multiobjective EAs: the
    NSGA-II and other algorithms", section III.A.
    """
    least: list[float] = []
    out = []
    for value in y[:, -1].tolist():
        layer = bisect_right(least, value)
        least[layer : layer + 1] = [value]
        out.append(layer)
    return np.asarray(out, dtype=np.int64)


def _peeled(y: _Floats) -> NDArray[np.int64]:
    """Return the layers of sorted points, front by front."""
    out = np.empty(len(y), dtype=np.int64)
    rest, layer = np.arange(len(y)), 0
    while len(rest):
        front = _sweep(y[rest])
        out[rest[front]] = layer
        rest, layer = rest[~front], layer + 1
    return out
