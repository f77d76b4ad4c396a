"""The Pearson divergence of a parameter's values among the best trials from those among all.

Reference: Watanabe et al., 2023, "PED-ANOVA", arXiv 2304.10255, with the details of Optuna's
`PedAnovaImportanceEvaluator`: a grid of 50 cells, Scott's rule, and one prior kernel.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from tunekit.samplers.grid import n_steps
from tunekit.spaces import Float, Int

if TYPE_CHECKING:
    from numpy.typing import NDArray

    _Floats = NDArray[np.float64]

CELLS = 50
"""Maximum number of cells of a grid."""

WITHIN = 1.64  # 90 % of a kernel of the least width fall into its own cell


def number_divergence(values: _Floats, best: NDArray[np.bool_], domain: Float | Int) -> float:
    """Return the divergence of the `(n,)` values of a range without its special values."""
    lo, hi = float(domain.lo), float(domain.hi)
    n = CELLS
    if isinstance(domain, Int) and domain.log:
        n = min(math.ceil(math.log2(hi - lo + 1)) + 1, n)
    elif isinstance(domain, Int) or domain.step is not None:
        steps = n_steps(domain)
        hi, n = lo + (steps - 1) * float(domain.step or 1), min(steps, n)
    if hi <= lo:
        return 0.0
    if domain.log:
        lo, hi, values = math.log(lo), math.log(hi), np.log(values)
    cells = np.ceil((values - lo) / ((hi - lo) / (n - 1)) - 0.5).astype(int)
    return _divergence(np.clip(cells, 0, n - 1), best, n, _smooth)


def choice_divergence(places: NDArray[np.int64], best: NDArray[np.bool_], n: int) -> float:
    """Return the divergence of the `(n,)` positions among `n` choices."""
    return 0.0 if n == 1 else _divergence(places, best, n, _mixed)


def _divergence(
    cells: NDArray[np.int64],
    best: NDArray[np.bool_],
    n: int,
    density: Callable[[NDArray[np.int64]], _Floats],
) -> float:
    top, all_ = (density(np.bincount(c, minlength=n)) + 1e-12 for c in (cells[best], cells))
    return float(all_ @ (top / all_ - 1.0) ** 2)


def _smooth(counts: NDArray[np.int64]) -> _Floats:
    """Return the `(n,)` density of a kernel estimate from the `(n,)` counts of ordered cells."""
    at = np.flatnonzero(counts)
    weights, n = counts[at], int(counts.sum())
    mean = at @ weights / n
    sd = math.sqrt((at - mean) ** 2 @ weights / max(1, n - 1))
    below = np.cumsum(weights)
    first = int(np.searchsorted(below, n // 4, side="left"))
    third = int(np.searchsorted(below, n * 3 // 4, side="right"))
    between = at[min(len(at) - 1, third)] - at[first]
    width = max(1.059 * min(between / 1.34, sd) * n**-0.2, 0.5 / WITHIN)
    size = len(counts)
    places = np.arange(size + 1)
    # Kernels of one width on a grid share their values: one for each distance from the centre.
    by_distance = _normal((np.arange(1 - size, size + 1) - 0.5) / width)
    prior = _normal((places - 0.5 - (size - 1) / 2.0) / size)
    below_edges = np.vstack([by_distance[places - at[:, None] + size - 1], prior])
    kernels = np.diff(below_edges, axis=1) / (below_edges[:, -1:] - below_edges[:, :1])
    return np.asarray(np.append(weights, 1.0) / (n + 1) @ kernels)


def _mixed(counts: NDArray[np.int64]) -> _Floats:
    """Return the `(n,)` density of a kernel estimate from the `(n,)` counts of choices."""
    at = np.flatnonzero(counts)
    kernels = np.full((len(at) + 1, len(counts)), 1.0 / (len(at) + 1))
    kernels[np.arange(len(at)), at] += 1.0
    kernels /= kernels.sum(axis=1, keepdims=True)
    return np.asarray(np.append(counts[at], 1.0) / (counts.sum() + 1) @ kernels)


def _normal(z: _Floats) -> _Floats:
    """Return the normal distribution function at `(n,)` places; SciPy's would load longer."""
    root = math.sqrt(2.0)
    return 0.5 * np.array([math.erfc(-v / root) for v in z.tolist()])
