"""Points near a point: neighbours, mutation and crossover along the tree.

Every result is a valid point that satisfies the constraints. Where a change opens a child
space, its parameters are filled in by the same traversal that samples a space.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from tunekit.spaces.constant import Constant
from tunekit.spaces.domains import Domain, Float, Int, Scalar
from tunekit.spaces.parameters import Parameter
from tunekit.spaces.point import Params
from tunekit.spaces.tree import Categorical, Space
from tunekit.spaces.walk import Picker, walk

MAX_TRIES = 100


def neighbours(
    space: Space,
    params: Params,
    *,
    rng: np.random.Generator | None = None,
    step: float = 0.05,
) -> list[Params]:
    """Return all valid points that differ in one decision.

    A categorical takes each other choice (an ordered one the next ones), an int the next
    values and those about `step` away, a float the values `step` away.

    Args:
        space: the space of the point.
        params: a valid point.
        rng: draws the parameters that a changed choice opens; their defaults without it.
        step: in the unit interval of the parameter.
    """
    found: dict[tuple[tuple[str, Scalar], ...], Params] = {}
    for p in space:
        if p.path not in params:
            continue
        for value in _alternatives(p.domain, params[p.path], step):
            point = walk(space, _filling({**params, p.path: value}, rng))
            if not space.violated(point):
                found.setdefault(tuple(point.items()), point)
    return list(found.values())


def mutate(
    space: Space, params: Params, rng: np.random.Generator, *, scale: float = 0.1
) -> Params:
    """Return a point in which one or a few decisions have changed.

    Each active decision changes with a chance of one in their number, and at least one does:
    a number by a normal step of standard deviation `scale` in its unit interval, a categorical
    to another choice. The point itself is returned where constraints forbid all that was tried.
    """
    paths = [p for p in space if p.path in params and p.domain.size > 1]
    if not paths:
        return Params(params)

    def attempt() -> Params:
        changed = rng.random(len(paths)) < 1.0 / len(paths)
        changed[rng.integers(len(paths))] = True
        kept = dict(params)
        for p, is_changed in zip(paths, changed, strict=True):
            if is_changed:
                kept[p.path] = _mutated(p.domain, params[p.path], rng, scale)
        return walk(space, _filling(kept, rng))

    return _valid(space, attempt, params)


def crossover(space: Space, a: Params, b: Params, rng: np.random.Generator) -> Params:
    """Return a child of two points that takes whole subtrees from either.

    Decisions at the root come from `a` or `b` with equal chance. What one branch opens comes
    from one parent as a whole, if both took the branch, and else from the parent that did. The
    point `a` is returned where constraints forbid all that was tried.
    """

    def attempt() -> Params:
        coins: dict[object, bool] = {}

        def picker(p: Parameter, chosen: Mapping[str, Scalar]) -> Scalar:
            if p.path in a and p.path in b:
                group = (p.parent, p.path.rpartition(".")[0]) if p.conditions else p.path
                if group not in coins:
                    coins[group] = bool(rng.random() < 0.5)
                return a[p.path] if coins[group] else b[p.path]
            if p.path in a:
                return a[p.path]
            return b[p.path] if p.path in b else p.domain.from_unit(rng.random())

        return walk(space, picker)

    return _valid(space, attempt, a)


def _valid(space: Space, attempt: Callable[[], Params], fallback: Params) -> Params:
    for _ in range(MAX_TRIES):
        point = attempt()
        if not space.violated(point):
            return point
    return Params(fallback)


def _filling(kept: Mapping[str, Scalar], rng: np.random.Generator | None) -> Picker:
    """Return a picker that keeps what it can and fills in what has become active."""

    def picker(p: Parameter, chosen: Mapping[str, Scalar]) -> Scalar:
        if p.path in kept:
            return kept[p.path]
        return p.domain.default_value() if rng is None else p.domain.from_unit(rng.random())

    return picker


def _mutated(domain: Domain, value: Scalar, rng: np.random.Generator, scale: float) -> Scalar:
    if isinstance(domain, Categorical):
        others = [c for c in domain.choices if c != value]
        return others[int(rng.integers(len(others)))]
    u = domain.to_unit(value) + rng.normal(0.0, scale)
    new = domain.from_unit(min(max(u, 0.0), 1.0))
    for _ in range(MAX_TRIES):
        if new != value:
            break
        new = domain.from_unit(rng.random())  # the step was too small for the grid
    return new


def _alternatives(domain: Domain, value: Scalar, step: float) -> list[Scalar]:
    if isinstance(domain, Constant):
        return []
    if isinstance(domain, Categorical):
        if not domain.ordered:
            return [c for c in domain.choices if c != value]
        i = domain.index(value)
        return [domain.choices[k] for k in (i - 1, i + 1) if 0 <= k < len(domain.choices)]
    if not isinstance(domain, Float | Int) or not isinstance(value, int | float):
        return []
    near: list[Scalar] = list(domain.special)
    u = domain.to_unit(value)
    if math.isfinite(domain.size):
        near += _next_on_grid(domain, value)
    near += [domain.from_unit(min(max(u + d, 0.0), 1.0)) for d in (-step, step)]
    return [v for v in dict.fromkeys(near) if v != value]


def _next_on_grid(domain: Float | Int, value: float) -> list[Scalar]:
    if value in domain.special:
        return []
    gap = domain.step or 1
    values = [value - gap, value + gap]
    return [domain.validate(v, "") for v in values if domain.lo <= v <= domain.hi]
