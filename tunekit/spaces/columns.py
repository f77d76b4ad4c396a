"""Checks constraints at many points at once, column by column.

The answer is that of `Constraint.holds`, exactly: the operations are the same, in the same order.
Where floats are not exact for whole numbers, or a value cannot be computed, the point is in doubt
and left to `holds` itself.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from tunekit.spaces.logic import Choice, Comparison, Logic, Not
from tunekit.spaces.terms import (
    Arithmetic,
    Call,
    Count,
    Extreme,
    Literal,
    Negative,
    Reference,
    Term,
    Total,
    power,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_EXACT = 2.0**40
"""Largest size of a number in a sum: thousands of such whole numbers add up without rounding."""

ROUNDING = 1e-12
"""Difference that the order of additions may make, relative to the sum of the sizes."""

MAX_ADDED = 8192
"""Maximum number of terms of a sum; with more of them it is left to the scalar evaluation."""


class Unsure(Exception):
    """The columns do not tell the truth of a constraint."""


@dataclass(frozen=True, slots=True)
class TermValues:
    """The values of a term at many points.

    Attributes:
        values: floats, truth values, or objects where there is text; of any shape that
            broadcasts to that of the table.
        lacks: where it has no value; `None` if it has one everywhere.
    """

    values: NDArray[Any]
    lacks: NDArray[np.bool_] | None = None


@dataclass(frozen=True, slots=True)
class Linear:
    """A weighted sum of parameters.

    Attributes:
        rows: `(k,)` of the parameters, in a table of numbers that are 0 where they are inactive.
        weights: `(k,)`.
        start: what is added to the sum.
        is_whole: all its numbers are whole, so that floats add them up exactly.
    """

    rows: NDArray[np.int64]
    weights: NDArray[np.float64]
    start: float
    is_whole: bool


class PointTable(Protocol):
    """The values of many points by parameter.

    Attributes:
        doubt: `(n,)` the points whose truth has to be found one by one.
    """

    doubt: NDArray[np.bool_]

    def column(self, path: str) -> TermValues:
        """Return the values of a parameter."""
        ...

    def linear(self, term: Term) -> Linear | None:
        """Return a term as a weighted sum of exact numbers, `None` if it is not one."""
        ...

    def weighted(self, linear: Linear) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """Return the weighted sums, and the sums of the sizes where they are not exact."""
        ...


def holding(term: Term, table: PointTable) -> NDArray[np.bool_]:
    """Return `(n,)` whether a constraint holds; of no meaning for points that are then in doubt.

    Raises:
        Unsure: all points have to be looked at one by one.
    """
    with np.errstate(all="ignore"):
        found = _evaluated(term, table)
    truth = _truth(found)
    return np.broadcast_to(_either(truth, found.lacks), table.doubt.shape)


def _evaluated(term: Term, table: PointTable) -> TermValues:
    return _RULES[type(term)](term, table)


def _number(column: TermValues) -> NDArray[np.float64]:
    if column.values.dtype == object:
        raise Unsure
    if column.values.dtype == bool:
        return column.values.astype(np.float64)
    return column.values


def _truth(column: TermValues) -> NDArray[np.bool_]:
    if column.values.dtype == object:
        raise Unsure
    return column.values if column.values.dtype == bool else column.values != 0


def _either(
    a: NDArray[np.bool_] | None, b: NDArray[np.bool_] | None
) -> Any:  # `None` only if both are
    return a if b is None else b if a is None else a | b


def _both(a: NDArray[np.bool_] | None, b: NDArray[np.bool_] | None) -> Any:
    return None if a is None or b is None else a & b


def _exact(
    values: NDArray[np.float64], lacks: NDArray[np.bool_] | None, table: PointTable
) -> TermValues:
    """Return a computed column, and put in doubt the points at which it may be wrong."""
    wrong = ~(np.abs(values) <= MAX_EXACT)  # also where it is not a number
    if wrong.any():
        table.doubt |= wrong if lacks is None else wrong & ~lacks
    return TermValues(values, lacks)


def of_literal(value: Any) -> NDArray[Any]:
    """Return a scalar as an array without dimensions."""
    if isinstance(value, bool):
        return np.array(value)
    is_exact = isinstance(value, int | float) and abs(value) <= MAX_EXACT
    return np.array(float(value) if is_exact else value, dtype=float if is_exact else object)


def _total(term: Total, table: PointTable) -> TermValues:
    if len(term.terms) > MAX_ADDED:
        raise Unsure
    total: Any = None
    lacks: NDArray[np.bool_] | None = None
    for sign, part in term.terms:
        found = _evaluated(part, table)
        v = _number(found)
        if found.lacks is not None:
            v = np.where(found.lacks, 0.0, v)
        if total is None:
            total, lacks = (v if sign > 0 else -v), found.lacks
        else:
            total = total + v if sign > 0 else total - v
            lacks = _both(lacks, found.lacks)
    if term.empty == 0:
        lacks = None  # the sum of nothing is 0
    return _exact(total, lacks, table)


def _count(term: Count, table: PointTable) -> TermValues:
    total = np.zeros(table.doubt.shape)
    for part in term.terms:
        found = _evaluated(part, table)
        if found.values.dtype == object:  # False may be among the choices
            raise Unsure
        counts: Any = found.values if found.values.dtype == bool else True
        total += counts if found.lacks is None else counts & ~found.lacks
    return TermValues(total)


def _arithmetic(term: Arithmetic, table: PointTable) -> TermValues:
    a, b = _evaluated(term.left, table), _evaluated(term.right, table)
    values = _OPERATIONS[term.op](_number(a), _number(b))
    return _exact(values, _either(a.lacks, b.lacks), table)


def _negative(term: Negative, table: PointTable) -> TermValues:
    found = _evaluated(term.term, table)
    return TermValues(-_number(found), found.lacks)


def _elementwise(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of arrays that computes as Python does, NaN where it cannot."""

    def computed(*arguments: float) -> float:
        try:
            return float(function(*arguments))
        except (ArithmeticError, ValueError, TypeError):
            return float("nan")

    return np.vectorize(computed, otypes=[np.float64])


_OPERATIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    operator.mul: np.multiply,
    operator.truediv: np.true_divide,
    operator.floordiv: np.floor_divide,
    operator.mod: np.mod,
    power: _elementwise(power),
}


def _call(term: Call, table: PointTable) -> TermValues:
    given = [_evaluated(a, table) for a in term.arguments]
    numbers = [_number(g) for g in given]
    lacks = None
    for g in given:
        lacks = _either(lacks, g.lacks)
    values = np.abs(numbers[0]) if term.function is abs else _elementwise(term.function)(*numbers)
    return _exact(values, lacks, table)


def _extreme(term: Extreme, table: PointTable) -> TermValues:
    pick, worst = (np.maximum, -np.inf) if term.choose is max else (np.minimum, np.inf)
    values: Any = np.full(table.doubt.shape, worst)
    lacks: NDArray[np.bool_] | None = np.ones(table.doubt.shape, dtype=bool)
    for part in term.terms:
        found = _evaluated(part, table)
        v = _number(found)
        values = pick(values, v if found.lacks is None else np.where(found.lacks, worst, v))
        lacks = _both(lacks, found.lacks)
    return TermValues(values if lacks is None else np.where(lacks, 0.0, values), lacks)


def _not(term: Not, table: PointTable) -> TermValues:
    found = _evaluated(term.term, table)
    return TermValues(~_truth(found), found.lacks)


def _logic(term: Logic, table: PointTable) -> TermValues:
    decided = np.zeros(table.doubt.shape, dtype=bool)
    lacks: NDArray[np.bool_] | None = None
    for part in term.terms:
        found = _evaluated(part, table)
        deciding = _truth(found) != term.is_and
        decided |= deciding if found.lacks is None else deciding & ~found.lacks
        lacks = _either(lacks, found.lacks)
    return TermValues(decided != term.is_and, None if lacks is None else lacks & ~decided)


def _comparison(term: Comparison, table: PointTable) -> TermValues:
    left, right = table.linear(term.left), table.linear(term.right)
    if left is not None or right is not None:
        return _compared_sums(term, left, right, table)
    a, b = _evaluated(term.left, table), _evaluated(term.right, table)
    lacks = _either(a.lacks, b.lacks)
    if term.op in (operator.eq, operator.ne):
        same = np.asarray(np.equal(a.values, b.values), dtype=bool)
        return TermValues(same if term.op is operator.eq else ~same, lacks)
    return TermValues(np.asarray(term.op(_number(a), _number(b))), lacks)


def _compared_sums(
    term: Comparison, left: Linear | None, right: Linear | None, table: PointTable
) -> TermValues:
    """Compare sums in one go each; what their rounding may decide is in doubt."""
    sides: list[Any] = []
    lacks: NDArray[np.bool_] | None = None
    slack: Any = None
    for part, linear in ((term.left, left), (term.right, right)):
        if linear is None:
            found = _evaluated(part, table)
            sides.append(_number(found))
            lacks = found.lacks
            continue
        total, size = table.weighted(linear)
        sides.append(total)
        if size is not None:
            slack = size if slack is None else slack + size
    if slack is not None:
        table.doubt |= np.abs(sides[0] - sides[1]) <= ROUNDING * slack
    return TermValues(np.asarray(term.op(*sides)), lacks)


def _choice(term: Choice, table: PointTable) -> TermValues:
    test = _evaluated(term.test, table)
    body, orelse = _evaluated(term.body, table), _evaluated(term.orelse, table)
    truth = _truth(test)
    lacks = _either(test.lacks, None if body.lacks is None else truth & body.lacks)
    lacks = _either(lacks, None if orelse.lacks is None else ~truth & orelse.lacks)
    if body.values.dtype == orelse.values.dtype:
        return TermValues(np.where(truth, body.values, orelse.values), lacks)
    return TermValues(np.where(truth, _number(body), _number(orelse)), lacks)


_RULES: dict[type, Callable[[Any, PointTable], TermValues]] = {
    Literal: lambda term, table: TermValues(of_literal(term.given)),
    Reference: lambda term, table: table.column(term.path),
    Total: _total,
    Count: _count,
    Arithmetic: _arithmetic,
    Negative: _negative,
    Call: _call,
    Extreme: _extreme,
    Not: _not,
    Logic: _logic,
    Comparison: _comparison,
    Choice: _choice,
}
