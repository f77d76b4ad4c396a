"""Bounds the values of an expression with open parameters by interval arithmetic.

Every function returns at least all values that can occur, so that "impossible" is never wrong;
"possible" may be. Values that cannot be computed (a division by zero) are left out, because a
constraint that cannot be computed does not hold.

Reference: Moore, Kearfott and Cloud, 2009, "Introduction to Interval Analysis".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tunekit.spaces.scalars import Scalar

MAX_VALUES = 64
"""Maximum number of values that a range lists; larger ranges have only bounds."""


@dataclass(frozen=True, slots=True)
class Range:
    """The possible values of a term.

    Attributes:
        lo: smallest number; above `hi` if there is no number.
        hi: largest number.
        values: all of them, where they are few.
        has_text: there may be strings or None among them.
        may_lack: it may be inactive.
    """

    lo: float
    hi: float
    values: tuple[Scalar, ...] | None = None
    has_text: bool = False
    may_lack: bool = False

    @property
    def is_empty(self) -> bool:
        """Return whether no value is possible."""
        return self.lo > self.hi and not self.has_text

    @property
    def is_point(self) -> bool:
        """Return whether exactly one value is possible."""
        return self.values is not None and len(self.values) == 1

    @property
    def can_be_true(self) -> bool:
        """Return whether some value is true."""
        if self.values is not None:
            return any(self.values)
        return self.has_text or (self.lo <= self.hi and not self.lo == self.hi == 0)

    @property
    def can_be_false(self) -> bool:
        """Return whether some value is false."""
        if self.values is not None:
            return not all(self.values)
        return self.has_text or self.lo <= 0 <= self.hi

    def holds(self, value: Scalar) -> bool:
        """Return whether a value is possible."""
        if self.values is not None:
            return value in self.values
        if isinstance(value, int | float):
            return self.lo <= value <= self.hi
        return self.has_text

    def lacking(self) -> Range:
        """Return the range extended by inactivity."""
        return self if self.may_lack else replace(self, may_lack=True)


def of_values(values: Sequence[Scalar], *, may_lack: bool = False) -> Range:
    """Return the range of exactly these values."""
    numbers = [v for v in values if isinstance(v, int | float)]
    lo, hi = (min(numbers), max(numbers)) if numbers else (math.inf, -math.inf)
    few = tuple(values) if len(values) <= MAX_VALUES else None
    return Range(lo, hi, few, len(numbers) < len(values), may_lack)


NOTHING = Range(math.inf, -math.inf, ())
LACKING = replace(NOTHING, may_lack=True)
NUMBER = Range(-math.inf, math.inf)
ANYTHING = Range(-math.inf, math.inf, None, True, True)
TRUTH = {
    (True, True): of_values((False, True)),
    (True, False): of_values((True,)),
    (False, True): of_values((False,)),
    (False, False): NOTHING,
}
"""(can be true, can be false) -> the range."""


def truth(*, can_be_true: bool, can_be_false: bool, may_lack: bool) -> Range:
    """Return the range of a truth value."""
    found = TRUTH[can_be_true, can_be_false]
    return found.lacking() if may_lack else found


def union(ranges: Sequence[Range]) -> Range:
    """Return the range of a term that is one of several."""
    few = None
    if all(r.values is not None for r in ranges):
        few = tuple(dict.fromkeys(v for r in ranges for v in r.values or ()))
    return Range(
        min(r.lo for r in ranges),
        max(r.hi for r in ranges),
        few if few is not None and len(few) <= MAX_VALUES else None,
        any(r.has_text for r in ranges),
        any(r.may_lack for r in ranges),
    )


def applied(function: Callable[..., Any], arguments: Sequence[Range]) -> Range | None:
    """Return the exact result if each argument is a single value, `None` if one is open."""
    if not all(r.is_point for r in arguments):
        return None
    try:
        result = function(*[r.values[0] for r in arguments if r.values])
    except (ArithmeticError, ValueError, TypeError):
        return NOTHING
    return Range(result, result, (result,)) if result == result else NOTHING


def total(terms: Sequence[tuple[int, Range]]) -> Range:
    """Return the range of a sum of (sign, term), in which inactive terms count as 0."""
    lo: float = 0  # ints stay exact
    hi: float = 0
    all_lack = True
    for sign, r in terms:
        all_lack &= r.may_lack
        if r.lo > r.hi:
            if not r.may_lack:
                return NOTHING
            continue
        low, high = (r.lo, r.hi) if sign > 0 else (-r.hi, -r.lo)
        lo += min(low, 0) if r.may_lack else low
        hi += max(high, 0) if r.may_lack else high
    values = (lo,) if lo == hi and abs(lo) < math.inf else None
    return Range(lo, hi, values, False, all_lack)


def corners(function: Callable[[Any, Any], float], a: Range, b: Range) -> Range:
    """Return the range of a binary function whose extremes lie at the arguments' bounds."""
    found = []
    for x in (a.lo, a.hi):
        for y in (b.lo, b.hi):
            try:
                value = function(x, y)
            except (ArithmeticError, ValueError):
                return NUMBER
            if value != value:  # 0 * inf
                value = 0.0
            found.append(value)
    return Range(min(found), max(found))


def rising(function: Callable[[Any], float], r: Range, *, least: float = -math.inf) -> Range:
    """Return the range of a function that increases from `least` on and is undefined below it."""
    if r.hi < least or r.lo > r.hi:
        return NOTHING

    def at(x: float, otherwise: float) -> float:
        try:
            return float(function(x))
        except (ArithmeticError, ValueError):
            return otherwise

    return Range(at(max(r.lo, least), -math.inf), at(r.hi, math.inf))


def least_or_largest(ranges: Sequence[Range], choose: Callable[..., float]) -> Range:
    """Return the range of the smallest (`min`) or largest (`max`) of the active terms."""
    there = [r for r in ranges if r.lo <= r.hi]
    if not there:
        return LACKING
    sure = [r for r in there if not r.may_lack] or None
    lo, hi = choose(r.lo for r in there), choose(r.hi for r in there)
    if choose is max:
        lo = max(r.lo for r in sure) if sure else min(r.lo for r in there)
    else:
        hi = min(r.hi for r in sure) if sure else max(r.hi for r in there)
    return Range(lo, hi, None, False, sure is None)


def equal(a: Range, b: Range) -> Range:
    """Return the range of `a == b`."""
    may_lack = a.may_lack or b.may_lack
    if a.values is not None and b.values is not None:
        can_be_true = any(x == y for x in a.values for y in b.values)
        can_be_false = any(x != y for x in a.values for y in b.values)
    else:
        can_be_true = max(a.lo, b.lo) <= min(a.hi, b.hi) or (a.has_text and b.has_text)
        can_be_false = not (a.is_empty or b.is_empty)
    return truth(can_be_true=can_be_true, can_be_false=can_be_false, may_lack=may_lack)


def below(a: Range, b: Range, *, or_equal: bool) -> Range:
    """Return the range of `a < b`, or of `a <= b`."""
    may_lack = a.may_lack or b.may_lack
    if a.has_text and b.has_text:  # strings have an order too
        return truth(can_be_true=True, can_be_false=True, may_lack=may_lack)
    if a.lo > a.hi or b.lo > b.hi:
        return LACKING if may_lack else NOTHING
    can_be_true = a.lo <= b.hi if or_equal else a.lo < b.hi
    can_be_false = a.hi > b.lo if or_equal else a.hi >= b.lo
    return truth(can_be_true=can_be_true, can_be_false=can_be_false, may_lack=may_lack)


def inverted(r: Range) -> Range:
    """Return the range of `not r`."""
    return truth(can_be_true=r.can_be_false, can_be_false=r.can_be_true, may_lack=r.may_lack)
