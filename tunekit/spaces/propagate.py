"""Narrows the open parameters of a constraint to what it leaves of them, from the top down.

A term of known bounds bounds its parts: of `a + b <= 10` with `b >= 3` remains `a <= 7`. Every
rule keeps all values with which the term can have the wanted value, if it has one at all; so a
part that may be inactive bounds nothing but itself.

Reference: Benhamou, Goualard, Granvilliers and Puget, 1999, "Revising hull and box consistency"
(HC4-revise).
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any, Protocol

from tunekit.spaces import ranges
from tunekit.spaces.logic import Choice, Comparison, Logic, Not
from tunekit.spaces.ranges import Range
from tunekit.spaces.scalars import Scalar
from tunekit.spaces.terms import (
    Arithmetic,
    Box,
    Call,
    Count,
    Extreme,
    Negative,
    Reference,
    Term,
    Total,
)

SLACK = 1e-12
"""Relative width by which a bound is moved outwards, for the rounding of floats."""

MAX_PAIRS = 1024
"""Maximum number of pairs of values to try for one operation."""


class Contradiction(Exception):
    """No value is left of an active parameter."""


class NarrowBox(Box, Protocol):
    """Open ranges that constraints may narrow.

    Both methods raise `Contradiction` where no value remains of an active parameter.
    """

    def bound(self, path: str, lo: float, hi: float) -> None:
        """Keep the numbers of a parameter within these bounds, and no text."""
        ...

    def keep(self, path: str, test: Callable[[Scalar], bool]) -> None:
        """Keep the values that pass, if they are few."""
        ...


def require(term: Term, box: NarrowBox, *, truth: bool) -> None:
    """Narrow the parameters of a term that must be true, or false, if it has a value."""
    match term:
        case Reference(path):
            box.keep(path, lambda v: bool(v) is truth)
        case Not(inner):
            require(inner, box, truth=not truth)
        case Logic(is_and, terms) if is_and is truth:
            for part in terms:
                require(part, box, truth=truth)
        case Logic(_, terms):
            left = [t for t in terms if _is_open(t.range(box), truth=truth)]
            if len(left) == 1:
                require(left[0], box, truth=truth)
        case Comparison(op, left_side, right_side):
            _compare(op if truth else _INVERSE[op], left_side, right_side, box)
        case Choice():
            _require_choice(term, box, truth=truth)


def _is_open(r: Range, *, truth: bool) -> bool:
    return r.may_lack or (r.can_be_true if truth else r.can_be_false)


def _require_choice(term: Choice, box: NarrowBox, *, truth: bool) -> None:
    test = term.test.range(box)
    if not test.can_be_false and not test.may_lack:
        require(term.body, box, truth=truth)
    elif not test.can_be_true and not test.may_lack:
        require(term.orelse, box, truth=truth)
    elif not _is_open(term.body.range(box), truth=truth):
        require(term.test, box, truth=False)
    elif not _is_open(term.orelse.range(box), truth=truth):
        require(term.test, box, truth=True)


_INVERSE: dict[Callable[[Any, Any], bool], Callable[[Any, Any], bool]] = {
    operator.lt: operator.ge,
    operator.le: operator.gt,
    operator.gt: operator.le,
    operator.ge: operator.lt,
    operator.eq: operator.ne,
    operator.ne: operator.eq,
}


def _compare(op: Callable[[Any, Any], bool], left: Term, right: Term, box: NarrowBox) -> None:
    a, b = left.range(box), right.range(box)
    if op in (operator.gt, operator.ge):
        op = operator.lt if op is operator.gt else operator.le
        left, right, a, b = right, left, b, a
    if op in (operator.lt, operator.le):
        if a.has_text or b.has_text:  # strings have an order too
            return
        is_strict = op is operator.lt
        if not b.may_lack:
            limit(left, box, -math.inf, _below(b.hi) if is_strict else b.hi)
        if not a.may_lack:
            limit(right, box, _above(a.lo) if is_strict else a.lo, math.inf)
        return
    for term, other in ((left, b), (right, a)):
        if other.may_lack:
            continue
        if op is operator.eq:
            _equate(term, other, box)
        elif other.is_point and isinstance(term, Reference) and other.values:
            box.keep(term.path, lambda v, at=other.values[0]: v != at)  # type: ignore[misc]


def _equate(term: Term, other: Range, box: NarrowBox) -> None:
    if isinstance(term, Reference) and other.values is not None:
        box.keep(term.path, lambda v: v in other.values)  # type: ignore[operator]
    if not other.has_text:
        limit(term, box, other.lo, other.hi)


def _below(x: float) -> float:
    return x - 1 if isinstance(x, int) else math.nextafter(x, -math.inf)


def _above(x: float) -> float:
    return x + 1 if isinstance(x, int) else math.nextafter(x, math.inf)


def limit(term: Term, box: NarrowBox, lo: float, hi: float) -> None:
    """Narrow the parameters of a term that must be a number within bounds, if it has a value."""
    rule = _RULES.get(type(term))
    if rule is not None and (lo > -math.inf or hi < math.inf):
        rule(term, box, lo, hi)


def _limit_choice(term: Choice, box: NarrowBox, lo: float, hi: float) -> None:
    test = term.test.range(box)
    if test.may_lack or test.can_be_true is test.can_be_false:
        return
    limit(term.body if test.can_be_true else term.orelse, box, lo, hi)


def _limit_arithmetic(term: Arithmetic, box: NarrowBox, lo: float, hi: float) -> None:
    op, a, b = term.op, term.left, term.right
    if op is operator.mul and a == b:  # a square
        root = math.sqrt(hi) if 0 <= hi < math.inf else hi
        limit(a, box, *_outwards(-root, root))
    _limit_operand(a, b, box, (lo, hi), op, _LEFT.get(op))
    _limit_operand(b, a, box, (lo, hi), lambda y, x: op(x, y), _RIGHT.get(op))


def _limit_total(term: Total, box: NarrowBox, lo: float, hi: float) -> None:
    parts = [(sign, part, part.range(box)) for sign, part in term.terms]
    bounds = [_signed(sign, r) for sign, _, r in parts]
    least, most = sum(b[0] for b in bounds), sum(b[1] for b in bounds)
    for (sign, part, r), (low, high) in zip(parts, bounds, strict=True):
        if r.is_point and not r.may_lack:
            continue
        top = _widened(hi - (least - low), max(abs(hi), abs(least)))
        bottom = -_widened((most - high) - lo, max(abs(lo), abs(most)))
        new = (bottom, top) if sign > 0 else (-top, -bottom)
        if new[0] > r.lo or new[1] < r.hi:
            limit(part, box, *new)


def _signed(sign: int, r: Range) -> tuple[float, float]:
    """Return the bounds of a term of a sum, in which an inactive one counts as 0."""
    if r.lo > r.hi:
        return 0, 0
    lo, hi = (r.lo, r.hi) if sign > 0 else (-r.hi, -r.lo)
    return (min(lo, 0), max(hi, 0)) if r.may_lack else (lo, hi)


def _widened(bound: float, scale: float) -> float:
    """Return a bound moved up by the rounding of numbers of this size; whole ones are exact."""
    moved = bound if isinstance(bound, int) else bound + SLACK * scale
    return moved if moved == moved else math.inf  # inf - inf says nothing


def _limit_extreme(term: Extreme, box: NarrowBox, lo: float, hi: float) -> None:
    given = [(t, t.range(box)) for t in term.terms]
    if any(r.has_text for _, r in given):
        return
    is_max = term.choose is max
    for part, _ in given:
        limit(part, box, *((-math.inf, hi) if is_max else (lo, math.inf)))
    able = [t for t, r in given if (r.hi >= lo if is_max else r.lo <= hi)]
    if len(able) == 1:  # the only one that can be large (small) enough
        limit(able[0], box, *((lo, math.inf) if is_max else (-math.inf, hi)))


def _limit_count(term: Count, box: NarrowBox, lo: float, hi: float) -> None:
    is_sure = 0
    is_open: list[Term] = []
    for part in term.terms:
        r = part.range(box)
        can_count = not r.is_empty and (r.values is None or any(v is not False for v in r.values))
        counts = not r.may_lack and (r.values is None or all(v is not False for v in r.values))
        if can_count and counts and not (r.values is None and r.lo <= 0 <= r.hi):
            is_sure += 1
        elif can_count:
            is_open.append(part)
    must_count, may_count = is_sure + len(is_open) - 1 < lo, is_sure + 1 <= hi
    if may_count and not must_count:
        return
    for part in is_open:
        if isinstance(part, Reference):
            box.keep(part.path, lambda v: (v is not False) is may_count)
        elif isinstance(part, Comparison | Logic | Not):
            require(part, box, truth=may_count)


Inverse = Callable[[Range, Range], tuple[float, float] | None]


def _limit_operand(
    term: Term,
    other: Term,
    box: NarrowBox,
    wanted: tuple[float, float],
    op: Callable[[Any, Any], Any],
    inverse: Inverse | None,
) -> None:
    """Narrow one operand, given the result and the other one."""
    own, given = term.range(box), other.range(box)
    if given.may_lack or given.has_text or given.is_empty or own.is_point:
        return
    few = given.values
    if isinstance(term, Reference) and own.values and few:
        if len(own.values) * len(few) <= MAX_PAIRS:
            box.keep(term.path, lambda v: any(_is_within(op, v, x, wanted) for x in few))
            return
    found = inverse(Range(*wanted), given) if inverse is not None else None
    if found is not None:
        limit(term, box, *found)


def _is_within(
    op: Callable[[Any, Any], Any], a: Scalar, b: Scalar, wanted: tuple[float, float]
) -> bool:
    if not isinstance(a, int | float):
        return False
    try:
        result = op(a, b)
        return bool(wanted[0] <= result <= wanted[1])
    except (ArithmeticError, ValueError, TypeError):
        return False


def _quotient(wanted: Range, by: Range) -> tuple[float, float] | None:
    """Return the bounds of x, where x * by is within the wanted ones."""
    if by.lo > 0 or by.hi < 0:
        found = ranges.corners(operator.truediv, wanted, by)
        return _outwards(found.lo, found.hi)
    if by.lo == 0 < by.hi and wanted.lo > 0:
        return _outwards(wanted.lo / by.hi, math.inf)
    return None


def _product(wanted: Range, by: Range) -> tuple[float, float] | None:
    """Return the bounds of x, where x / by is within the wanted ones."""
    found = ranges.corners(operator.mul, wanted, by)
    return _outwards(found.lo, found.hi)


def _floored(wanted: Range, by: Range) -> tuple[float, float] | None:
    return _product(Range(wanted.lo, wanted.hi + 1), by)


def _divisor(wanted: Range, of: Range) -> tuple[float, float] | None:
    """Return the bounds of x, where of / x is within the wanted ones."""
    return _quotient(of, wanted) if wanted.lo > 0 or wanted.hi < 0 else None


def _outwards(lo: float, hi: float) -> tuple[float, float]:
    return lo - SLACK * abs(lo), hi + SLACK * abs(hi)


_LEFT: dict[Callable[[Any, Any], Any], Inverse] = {
    operator.mul: _quotient,
    operator.truediv: _product,
    operator.floordiv: _floored,
}
_RIGHT: dict[Callable[[Any, Any], Any], Inverse] = {
    operator.mul: _quotient,
    operator.truediv: _divisor,
}


def _limit_argument(term: Call, box: NarrowBox, lo: float, hi: float) -> None:
    function, argument = term.function, term.arguments[0]
    own = argument.range(box)
    if len(term.arguments) > 1:
        return
    if isinstance(argument, Reference) and own.values is not None:
        box.keep(argument.path, lambda v: _is_within(lambda x, _: function(x), v, 0, (lo, hi)))
    elif function is abs:
        limit(argument, box, -hi, hi)
    elif function in _ARGUMENTS:
        inverse = _ARGUMENTS[function]
        limit(argument, box, *_outwards(inverse(lo), inverse(hi)))


_ARGUMENTS: dict[Callable[..., Any], Callable[[float], float]] = {
    math.exp: lambda x: math.log(x) if x > 0 else -math.inf,
    math.log: lambda x: math.exp(x) if x < 700 else math.inf,
    math.log2: lambda x: 2.0**x if x < 1000 else math.inf,
    math.sqrt: lambda x: max(x, 0.0) ** 2 if x < 1e150 else math.inf,
}

_RULES: dict[type, Callable[[Any, NarrowBox, float, float], None]] = {
    Reference: lambda term, box, lo, hi: box.bound(term.path, lo, hi),
    Negative: lambda term, box, lo, hi: limit(term.term, box, -hi, -lo),
    Total: _limit_total,
    Extreme: _limit_extreme,
    Count: _limit_count,
    Arithmetic: _limit_arithmetic,
    Call: _limit_argument,
    Choice: _limit_choice,
}
