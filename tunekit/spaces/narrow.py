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
    domain = p.domain
    touching = made.outline.touching[p.path]
    if wanted is not NONE:
        if not touching or _allows(made, p, wanted):
            return wanted
    else:
        for _ in range(DRAWS if touching else 1):
            value = domain.from_unit(rng.random())
            if not touching or _allows(made, p, value):
                return value
    if isinstance(domain, Categorical):
        return _choice(made, p, domain, rng, wanted)
    assert isinstance(domain, Float | Int)
    return _number(made, p, domain, rng, wanted)


def _allows(made: Decisions, p: Parameter, value: Scalar) -> bool:
    return made.allows(p.path, ranges.of_values((value,)))


def _choice(
    made: Decisions, p: Parameter, domain: Categorical, rng: np.random.Generator, wanted: Scalar
) -> Scalar:
    order = rng.permutation(len(domain.choices)).tolist()
    if wanted is not NONE and (domain.ordered or _are_numbers(domain)):
        order.sort(key=lambda i: _distance(domain, i, wanted))
    choices = (domain.choices[i] for i in order)
    return next((c for c in choices if _allows(made, p, c)), _NOTHING)


def _are_numbers(domain: Categorical) -> bool:
    return all(type(c) in (int, float) for c in domain.choices)


def _distance(domain: Categorical, i: int, wanted: Scalar) -> float:
    if domain.ordered:
        return abs(i - domain.index(wanted))
    return abs(float(domain.choices[i]) - float(wanted))  # type: ignore[arg-type]


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
    value = _bisected(made, p, low=low, rng=rng, aim=aim)
    if value is not NONE or is_special_first:
        return value
    return next((v for v in specials if _allows(made, p, v)), _NOTHING)


def _bisected(
    made: Decisions, p: Parameter, *, low: float, rng: np.random.Generator, aim: float | None
) -> Scalar:
    """Return a value found by bisecting a range with impossible parts."""
    stack = [(low, 1.0)]
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
