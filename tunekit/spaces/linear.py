"""Recognises weighted sums of parameters among the terms of a constraint."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from tunekit.spaces.columns import MAX_EXACT, Linear
from tunekit.spaces.constant import Constant
from tunekit.spaces.domains import Float, Int
from tunekit.spaces.scalars import Scalar
from tunekit.spaces.terms import LACKS, Arithmetic, Literal, Negative, Reference, Term, Total
from tunekit.spaces.tree import Categorical, Space

MAX_WHOLE = 2.0**53
"""Size up to which floats add up whole numbers exactly."""


class NumericParameter(NamedTuple):
    """A parameter whose values are all numbers.

    Attributes:
        row: in the table of numbers.
        size: largest absolute value.
        is_whole: all values are whole.
        is_sure: it is always active.
    """

    row: int
    size: float
    is_whole: bool
    is_sure: bool


@lru_cache(maxsize=32)
def numbers_of(space: Space) -> dict[str, NumericParameter]:
    """Return the parameters whose values are all numbers that floats hold exactly."""
    found: dict[str, NumericParameter] = {}
    for p in space:
        values: tuple[Scalar, ...] = ()
        if isinstance(p.domain, Categorical):
            values = p.domain.choices
        elif isinstance(p.domain, Constant):
            values = (p.domain.value,)
        elif isinstance(p.domain, Float | Int):
            values = (p.domain.lo, p.domain.hi, *p.domain.special)
        if all(isinstance(v, int | float) and abs(v) <= MAX_EXACT for v in values):
            size = max(abs(float(v)) for v in values)  # type: ignore[arg-type]
            is_whole = not isinstance(p.domain, Float) and all(isinstance(v, int) for v in values)
            found[p.path] = NumericParameter(len(found), size, is_whole, not p.conditions)
    return found


def linear_of(term: Term, numbers: Mapping[str, NumericParameter]) -> Linear | None:
    """Return a term as a weighted sum of parameters, `None` if it is not linear."""
    if not isinstance(term, Total):
        return None
    start, weights, used = 0.0, [], []
    is_whole, is_sure = True, term.empty is not LACKS
    for sign, part in term.terms:
        weighted = _weighted(part)
        if weighted is None:
            return None
        weight, path = weighted
        is_whole &= isinstance(weight, int)
        if path is None:
            start, is_sure = start + sign * weight, True
            continue
        if path not in numbers:
            return None
        weights.append(float(sign * weight))
        used.append(numbers[path])
        is_sure |= numbers[path].is_sure
    size = abs(start) + sum(abs(w) * n.size for w, n in zip(weights, used, strict=True))
    if not is_sure or not used:
        return None
    is_whole = is_whole and size < MAX_WHOLE and all(n.is_whole for n in used)
    rows = np.array([n.row for n in used], dtype=np.int64)
    return Linear(rows, np.array(weights), float(start), is_whole)


def _weighted(term: Term) -> tuple[float, str | None] | None:
    """Return (weight, path) of a term, (value, None) of a literal number."""
    match term:
        case Literal(int() | float() as value):
            return value, None
        case Reference(path):
            return 1, path
        case Negative(Reference(path)):
            return -1, path
        case Arithmetic(op, Literal(int() | float() as value), Reference(path)):
            return (value, path) if op is operator.mul else None
        case Arithmetic(op, Reference(path), Literal(int() | float() as value)):
            return (value, path) if op is operator.mul else None
    return None
