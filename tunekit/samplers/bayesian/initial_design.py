"""Proposes the first points of a study: the defaults, then points that cover every branch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from tunekit.samplers.base import PLAIN_DRAWS, keeping, repaired, sample
from tunekit.samplers.bayesian.densities import PriorDensity
from tunekit.spaces import Categorical, Constant, Parameter, Params, Scalar, Space, walk

N_DRAWS = 4
"""Draws per number; the one farthest from the values of earlier points is taken."""

SHRINK = 0.6
"""Factor that pulls a drawn number towards its default."""

MAX_WALKS = 12


def n_initial(space: Space, *, least: int = 6) -> int:
    """Return the number of trials that shows each value of the root switches at least once."""
    parents = {c.parent for p in space for c in p.conditions}
    sizes = [
        len(p.domain.choices)
        for p in space
        if p.path in parents and not p.conditions and isinstance(p.domain, Categorical)
    ]
    return min(MAX_WALKS, max([least, *(n + 1 for n in sizes)]))


def default_point(space: Space, fixed: Params | None) -> Params | None:
    """Return the default point with fixed values kept, `None` if it violates a constraint."""

    def default(p: Parameter, chosen: Mapping[str, Scalar]) -> Scalar:
        return p.domain.default_value()

    point = walk(space, keeping(fixed, default))
    return None if space.violated(point) else point


def stratified_walk(
    space: Space,
    before: Iterable[Mapping[str, Scalar]],
    rng: np.random.Generator,
    fixed: Params | None = None,
    *,
    densities: Mapping[str, PriorDensity] | None = None,
    known: Iterable[Mapping[str, Scalar]] = (),
) -> Params:
    """Return a point with the least used choices and numbers far from those of earlier points.

    Numbers stay closer to their defaults than uniform draws, because defaults are rarely bad.

    Args:
        space: to walk through.
        before: points of earlier trials.
        rng: for the draws.
        fixed: values to keep.
        densities: path -> prior density to draw a parameter from.
        known: points known to satisfy the constraints, as starts for a search.

    Raises:
        InvalidSpace: no point satisfies the constraints.
    """
    points = list(before)
    believed = densities or {}

    def pick(p: Parameter, chosen: Mapping[str, Scalar]) -> Scalar:
        if p.path in believed:
            return p.domain.from_unit(believed[p.path].draw(rng))
        used = [point[p.path] for point in points if p.path in point]
        if isinstance(p.domain, Categorical):
            return _least_used(p.domain, used, rng)
        return p.domain.from_unit(_far_place(p, used, rng))

    for _ in range(PLAIN_DRAWS):
        point = walk(space, keeping(fixed, pick))
        if not space.violated(point):
            return point
    return repaired(space, point, rng, fixed) or sample(space, rng, fixed, known=known)


def _least_used(domain: Categorical, used: list[Scalar], rng: np.random.Generator) -> Scalar:
    counts = np.zeros(len(domain.choices))
    for value in used:
        counts[domain.index(value)] += 1
    return domain.choices[int(rng.choice(np.flatnonzero(counts == counts.min())))]


def _far_place(p: Parameter, used: list[Scalar], rng: np.random.Generator) -> float:
    draws = rng.random(N_DRAWS)
    if isinstance(p.domain, Constant):
        return 0.0
    centre = p.domain.to_unit(p.domain.default_value())
    draws = centre + SHRINK * (draws - centre)
    if not used:
        return float(draws[0])
    known = np.array([p.domain.to_unit(v) for v in used])
    return float(draws[np.argmax(np.min(np.abs(draws[:, None] - known), axis=1))])
