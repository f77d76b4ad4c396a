"""Logical terms of a constraint, which are neither true nor false if something is inactive."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tunekit.spaces import ranges
from tunekit.spaces.ranges import Range
from tunekit.spaces.terms import LACKS, Box, Term


@dataclass(frozen=True, slots=True)
class Not:
    """The negation of a term."""

    term: Term

    def value(self, params: Mapping[str, Any]) -> Any:
        """Return the value in a point."""
        v = self.term.value(params)
        return v if v is LACKS else not v

    def range(self, box: Box) -> Range:
        """Return at least all values that it can still have."""
        return ranges.inverted(self.term.range(box))


@dataclass(frozen=True, slots=True)
class Logic:
    """The conjunction (`and`) or disjunction (`or`) of terms."""

    is_and: bool
    terms: tuple[Term, ...]

    def value(self, params: Mapping[str, Any]) -> Any:
        """Return the value in a point."""
        lacks = False
        for term in self.terms:
            v = term.value(params)
            if v is LACKS:
                lacks = True
            elif bool(v) is not self.is_and:
                return not self.is_and
        return LACKS if lacks else self.is_and

    def range(self, box: Box) -> Range:
        """Return at least all values that it can still have."""
        given = [t.range(box) for t in self.terms]
        true, false = [r.can_be_true for r in given], [r.can_be_false for r in given]
        # It lacks a value if one term does and no other decides.
        open_ = true if self.is_and else false
        may_lack = all(o or r.may_lack for o, r in zip(open_, given, strict=True))
        return ranges.truth(
            can_be_true=all(true) if self.is_and else any(true),
            can_be_false=any(false) if self.is_and else all(false),
            may_lack=may_lack and any(r.may_lack for r in given),
        )


_ORDER: dict[Callable[[Any, Any], bool], Callable[[Range, Range], Range]] = {
    operator.lt: lambda a, b: ranges.below(a, b, or_equal=False),
    operator.le: lambda a, b: ranges.below(a, b, or_equal=True),
    operator.gt: lambda a, b: ranges.below(b, a, or_equal=False),
    operator.ge: lambda a, b: ranges.below(b, a, or_equal=True),
    operator.eq: ranges.equal,
    operator.ne: lambda a, b: ranges.inverted(ranges.equal(a, b)),
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """The comparison of two terms."""

    op: Callable[[Any, Any], bool]
    left: Term
    right: Term

    def value(self, params: Mapping[str, Any]) -> Any:
        """Return the value in a point."""
        a, b = self.left.value(params), self.right.value(params)
        return LACKS if a is LACKS or b is LACKS else self.op(a, b)

    def range(self, box: Box) -> Range:
        """Return at least all values that it can still have."""
        return _ORDER[self.op](self.left.range(box), self.right.range(box))


@dataclass(frozen=True, slots=True)
class Choice:
    """One term if a condition is true, another if it is false."""

    test: Term
    body: Term
    orelse: Term

    def value(self, params: Mapping[str, Any]) -> Any:
        """Return the value in a point."""
        test = self.test.value(params)
        if test is LACKS:
            return LACKS
        return self.body.value(params) if test else self.orelse.value(params)

    def range(self, box: Box) -> Range:
        """Return at least all values that it can still have."""
        test = self.test.range(box)
        found = [ranges.LACKING] if test.may_lack else []
        if test.can_be_true:
            found.append(self.body.range(box))
        if test.can_be_false:
            found.append(self.orelse.range(box))
        return ranges.union(found) if found else ranges.NOTHING
