"""Finds a value that the constraints still allow for a parameter, by draws and bisection."""

from __future__ import annotations

from typing import Any

import numpy as np

from tunekit.spaces import ranges
from tunekit.spaces.domains import SPECIAL_SHARE, Float, Int, Scalar
from tunekit.spaces.parameters import Parameter
from tunekit.spaces.possible import Decisions
from tunekit.spaces.ranges import Range
from tunekit.spaces.tree import Categorical

NONE: Any = object()
"""Marks the absence of a value, because None is a valid value."""

_NOTHING: Scalar = NONE

DRAWS = 4
"""Number of random values to try first."""

MAX_LOOKS = 240
"""Number of parts of a range to examine before it counts as empty."""


def allowed_value(
    made: Decisions, p: Parameter, rng: np.random.Generator, wanted: Scalar = NONE
) -> Scalar:
    """Return the wanted value if the constraints can hold with it, else the nearest such value.

    Without a wanted value, a random allowed one is returned; `NONE` if no value is allowed.
    """
    domain, left = p.domain, made.range(p.path)
    touching = made.outline.touching[p.path]
    if wanted is not NONE:
        if not touching or (left.holds(wanted) and _allows(made, p, wanted)):
            return wanted
    else:
        for _ in range(DRAWS if touching else 1):
            value = domain.from_unit(rng.random())
            if not touching or (left.holds(value) and _allows(made, p, value)):
                return value
    if left.values is not None or isinstance(domain, Categorical):
        values = domain.choices if isinstance(domain, Categorical) else left.values or ()
        return _listed(made, p, [v for v in values if left.holds(v)], rng, wanted)
    assert isinstance(domain, Float | Int)
    return _number(made, p, domain, rng, wanted)


def _allows(made: Decisions, p: Parameter, value: Scalar) -> bool:
    return made.allows(p.path, ranges.of_values((value,)))


def _listed(
    made: Decisions, p: Parameter, values: list[Scalar], rng: np.random.Generator, wanted: Scalar
) -> Scalar:
    order = [values[i] for i in rng.permutation(len(values)).tolist()]
    is_ordered = not isinstance(p.domain, Categorical) or p.domain.ordered
    if wanted is not NONE and (is_ordered or all(type(v) in (int, float) for v in values)):
        order.sort(key=lambda v: _distance(p, v, wanted))
    return next((v for v in order if _allows(made, p, v)), _NOTHING)


def _distance(p: Parameter, value: Scalar, wanted: Scalar) -> float:
    if isinstance(p.domain, Categorical) and p.domain.ordered:
        return abs(p.domain.index(value) - p.domain.index(wanted))
    return abs(float(value) - float(wanted))  # type: ignore[arg-type]


def _number(
    made: Decisions, p: Parameter, domain: Float | Int, rng: np.random.Generator, wanted: Scalar
) -> Scalar:
    specials: list[Scalar] = [
        domain.special[i] for i in rng.permutation(len(domain.special)).tolist()
    ]
    is_special_first = bool(specials) and wanted is NONE and rng.random() < SPECIAL_SHARE
    if is_special_first:
        for value in specials:
            if _allows(made, p, value):
                return value
    low = SPECIAL_SHARE if domain.special else 0.0
    aim = None if wanted is NONE else max(domain.to_unit(wanted), low)  # type: ignore[arg-type]
    value = _bisected(made, p, places=_places(made, p, domain, low), rng=rng, aim=aim)
    if value is not NONE or is_special_first:
        return value
    return next((v for v in specials if _allows(made, p, v)), _NOTHING)


def _places(made: Decisions, p: Parameter, domain: Float | Int, low: float) -> tuple[float, float]:
    """Return the places in `[0, 1]` between which the values lie that are left."""
    left = made.range(p.path)
    inside = left.lo > domain.lo and left.lo not in domain.special
    below = left.hi < domain.hi and left.hi not in domain.special
    return (
        domain.to_unit(left.lo) if inside else low,
        domain.to_unit(max(left.hi, domain.lo)) if below else 1.0,
    )


def _bisected(
    made: Decisions,
    p: Parameter,
    *,
    places: tuple[float, float],
    rng: np.random.Generator,
    aim: float | None,
) -> Scalar:
    """Return a value found by bisecting a range with impossible parts."""
    stack = [places]
    for _ in range(MAX_LOOKS):
        if not stack:
            break
        a, b = stack.pop()
        lo: Any = p.domain.from_unit(a)
        hi: Any = p.domain.from_unit(b)
        if lo == hi:
            value: Scalar = lo
            if _allows(made, p, value):
                return value
            continue
        if not made.allows(p.path, Range(lo, hi)):
            continue
        if aim is None:
            drawn = p.domain.from_unit(a + (b - a) * rng.random())
            if _allows(made, p, drawn):
                return drawn
        middle = (a + b) / 2
        if not a < middle < b:
            continue
        is_lower_first = aim < middle if aim is not None else rng.random() < 0.5
        halves = [(middle, b), (a, middle)]
        stack.extend(halves if is_lower_first else halves[::-1])
    return _NOTHING
