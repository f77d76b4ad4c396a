"""Generates candidates by climbing from the best rows within a distance bound to the data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from tunekit.spaces import Constant, Parameter, Params, Scalar, Space, walk
from tunekit.tabular.models import LossModel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Distance: TypeAlias = "Callable[[Floats], Floats]"

STEPS = 60
FIRST_STEP = 0.1
"""Largest change of a parameter in the first step, as a share of its range."""


def climb(
    model: LossModel, x: Floats, *, caution: float, distance: Distance, limits: Floats
) -> Floats:
    """Return `(m, d)` rows with better cautious predictions than their `(m, d)` starts.

    Each row descends the slope of `mean + caution * sd` in its active numbers. Steps are clipped
    to `[0, 1]`. A step that exceeds the row's distance limit or does not improve the value is
    undone and halved.

    Reference: Dao et al., 2024, arXiv 2503.04242, section 5 (ascent from the best rows); we added
    the bound and the caution.
    """
    x = x.copy()
    step = np.full(len(x), FIRST_STEP)
    look = model.cautious(x, caution=caution)
    value, slope = look(x)
    for _ in range(STEPS):
        way = np.nan_to_num(slope)
        longest = np.max(np.abs(way), axis=1, initial=0.0)
        way = way / np.where(longest > 0.0, longest, 1.0)[:, None]
        new = np.clip(x - step[:, None] * way, 0.0, 1.0)
        new_value, new_slope = look(new)
        good = (new_value < value) & (distance(new) <= limits)
        x[good], value[good], slope[good] = new[good], new_value[good], new_slope[good]
        step = np.where(good, step, step / 2.0)
    return x


def mutated(
    space: Space, points: Sequence[Params], rng: np.random.Generator, *, n: int
) -> list[Params]:
    """Return `n` points that differ from a given one in one parameter and its children."""
    free = [p.path for p in space if not isinstance(p.domain, Constant)]
    found = []
    for i in range(n if free else 0):
        point = points[i % len(points)]
        active = [path for path in free if path in point]
        changed = active[int(rng.integers(len(active)))]
        found.append(walk(space, _keeping_all_but(changed, point, rng)))
    return found


def _keeping_all_but(
    changed: str, point: Params, rng: np.random.Generator
) -> Callable[[Parameter, Mapping[str, Scalar]], Scalar]:
    def pick(p: Parameter, _: Mapping[str, Scalar]) -> Scalar:
        if p.path in point and p.path != changed:
            return point[p.path]
        return p.domain.from_unit(rng.random())

    return pick
