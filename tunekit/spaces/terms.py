"""Terms of a constraint, with their values at a point and ranges over open parameters.

An inactive parameter has no value (`LACKS`). In a sum it counts nothing, `min`, `max`, `sum` and
`count` are over the active ones, and any other arithmetic on it has no value either. A comparison
without a value is neither true nor false, and `and`, `or` and `not` go on from there in the
three-valued logic of Kleene.

Reference: Kleene, 1952, "Introduction to Metamathematics", section 64.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from tunekit.spaces import ranges
from tunekit.spaces.ranges import Range

MAX_BITS = 4096
"""Maximum size of an integer power; beyond it the constraint does not hold."""


class Lacks:
    """The value of an inactive term."""

    def __repr__(self) -> str:
        return "LACKS"


LACKS = Lacks()


class Box(Protocol):
    """A partial point: decided values and open ranges."""

    def range(self, path: str) -> Range:
        """Return the values that a parameter can still have."""
        ...


class Term(Protocol):
    """A part of a constraint."""

    def value(self, params: Mapping[str, Any]) -> Any:
        """Return the value at a point, `LACKS` if the term is inactive.

        Raises:
            ArithmeticError, ValueError, TypeError: it cannot be computed.
        """
        ...

    def range(self, box: Box) -> Range:
        """Return at least all values that it can still have."""
        ...


@dataclass(frozen=True, slots=True)
class Literal:
    """A literal value."""

    given: Any

    def value(self, params: Mapping[str, Any]) -> Any:
        """Return the value in a point."""
        return self.given

    def range(self, box: Box) -> Range:
        """Return at least all values that it can still have."""
        return ranges.of_values((self.given,))


@dataclass(frozen=True, slots=True)
class Reference:
    """The value of a parameter."""

    path: str

    def value(self, params: Mapping[str, Any]) -> Any:
        """Return the value in a point."""
        return params.get(self.path, LACKS)

    def range(self, box: Box) -> Range:
        """Return at least all values that it can still have."""
        return box.range(self.path)


@dataclass(frozen=True, slots=True)
class Total:
    """A sum of (1 or -1, term) over those that are active.

    Attributes:
        empty: value if all are inactive.
    """

    terms: tuple[tuple[int, Term], ...]
    empty: Any = LACKS

    def value(self, params: Mapping[str, Any]) -> Any:
        """Return the value in a point."""
        total: Any = None
        for sign, term in self.terms:
            v = term.value(params)
            if v is LACKS:
                continue
            if not isinstance(v, int | float):
                raise TypeError("arithmetic on a value that is not a number")
            if total is None:
                total = v if sign > 0 else -v
            else:
                total = total + v if sign > 0 else total - v
        return self.empty if total is None else total

    def range(self, box: Box) -> Range:
        """Return at least all values that it can still have."""
        found = ranges.total([(sign, term.range(box)) for sign, term in self.terms])
        if self.empty is LACKS or not found.may_lack:
            return found
        return Range(found.lo, found.hi, found.values)  # `total` counts what lacks as 0


@dataclass(frozen=True, slots=True)
class Count:
    """The number of terms that are true, or active if they are not truth values."""

    terms: tuple[Term, ...]

    def value(self, params: Mapping[str, Any]) -> Any:
        """Return the value in a point."""
        values = (term.value(params) for term in self.terms)
        return sum(v is not LACKS and v is not False for v in values)

    def range(self, box: Box) -> Range:
        """Return at least all values that it can still have."""
        lo = hi = 0
        for r in (term.range(box) for term in self.terms):
            can_count, is_sure = not r.is_empty, not r.may_lack
            if r.values is not None:
                can_count = any(v is not False for v in r.values)
                is_sure &= all(v is not False for v in r.values)
            elif r.has_text or r.lo <= 0 <= r.hi:  # False may be among many choices
                is_sure = False
            hi += can_count
            lo += can_count and is_sure
        return Range(lo, hi, (lo,) if lo == hi else None)


def power(base: Any, exponent: Any) -> Any:
    """Return a power of real numbers of bounded size.

    Raises:
        ArithmeticError, ValueError: the power is too large, or not a real number.
    """
    if isinstance(base, int) and isinstance(exponent, int):
        if base.bit_length() * abs(exponent) > MAX_BITS:
            raise OverflowError("the power is too large")
    result = base**exponent
    if isinstance(result, complex):
        raise ValueError("the root of a negative number")
    return result


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """A product, quotient, remainder or power."""

    op: Callable[[Any, Any], Any]
    left: Term
    right: Term

    def value(self, params: Mapping[str, Any]) -> Any:
        """Return the value in a point."""
        a, b = self.left.value(params), self.right.value(params)
        if a is LACKS or b is LACKS:
            return LACKS
        # Strings would concatenate, repeat and format, at any cost in memory.
        if not isinstance(a, int | float) or not isinstance(b, int | float):
            raise TypeError("arithmetic on a value that is not a number")
        return self.op(a, b)

    def range(self, box: Box) -> Range:
        """Return at least all values that it can still have."""
        a, b = self.left.range(box), self.right.range(box)
        may_lack = a.may_lack or b.may_lack
        if a.lo > a.hi or b.lo > b.hi:
            return ranges.LACKING if may_lack else ranges.NOTHING
        found = None if a.has_text or b.has_text else ranges.applied(self.op, (a, b))
        if found is None:
            found = self._open(a, b)
        return found.lacking() if may_lack else found

    def _open(self, a: Range, b: Range) -> Range:
        if self.op is operator.mul:
            return ranges.corners(self.op, a, b)
        if self.op in (operator.truediv, operator.floordiv) and not b.lo <= 0 <= b.hi:
            return ranges.corners(self.op, a, b)
        if self.op is operator.mod and b.lo > 0:
            return Range(0, b.hi)
        if self.op is power and a.lo > 0:
            return ranges.corners(self.op, a, b)
        return ranges.NUMBER


@dataclass(frozen=True, slots=True)
class Negative:
    """The negative of a number."""

    term: Term

    def value(self, params: Mapping[str, Any]) -> Any:
        """Return the value in a point."""
        v = self.term.value(params)
        return v if v is LACKS else -v

    def range(self, box: Box) -> Range:
        """Return at least all values that it can still have."""
        r = self.term.range(box)
        values = None
        if r.values is not None:
            values = tuple(-v for v in r.values if isinstance(v, int | float))
        return Range(-r.hi, -r.lo, values, False, r.may_lack)


_RISING: dict[Callable[..., Any], float] = {
    math.exp: -math.inf, math.log: 0.0, math.log2: 0.0, math.sqrt: 0.0
}  # fmt: skip
"""Function -> argument from which it is defined and increasing."""


@dataclass(frozen=True, slots=True)
class Call:
    """A function of numbers that are all active."""

    function: Callable[..., Any]
    arguments: tuple[Term, ...]

    def value(self, params: Mapping[str, Any]) -> Any:
        """Return the value in a point."""
        values = [a.value(params) for a in self.arguments]
        return LACKS if LACKS in values else self.function(*values)

    def range(self, box: Box) -> Range:
        """Return at least all values that it can still have."""
        given = [a.range(box) for a in self.arguments]
        may_lack = any(r.may_lack for r in given)
        found = ranges.applied(self.function, given)
        first = given[0]
        if found is None and self.function is abs:
            low = 0 if first.lo <= 0 <= first.hi else min(abs(first.lo), abs(first.hi))
            found = Range(low, max(abs(first.lo), abs(first.hi)))
        elif found is None and self.function in _RISING and len(given) == 1:
            found = ranges.rising(self.function, first, least=_RISING[self.function])
        found = ranges.NUMBER if found is None else found
        return found.lacking() if may_lack else found


@dataclass(frozen=True, slots=True)
class Extreme:
    """The smallest (`min`) or largest (`max`) of the active terms."""

    choose: Callable[..., Any]
    terms: tuple[Term, ...]

    def value(self, params: Mapping[str, Any]) -> Any:
        """Return the value in a point."""
        values = [v for v in (t.value(params) for t in self.terms) if v is not LACKS]
        return self.choose(values) if values else LACKS

    def range(self, box: Box) -> Range:
        """Return at least all values that it can still have."""
        given = [t.range(box) for t in self.terms]
        if any(r.has_text for r in given):
            return ranges.ANYTHING
        return ranges.least_or_largest(given, self.choose)
