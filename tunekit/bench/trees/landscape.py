"""Builds a loss over a tree from penalties that are all zero at one hidden optimum.

No penalty is negative, so for every seed no point beats the optimum.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from tunekit.spaces import Domain, Parameter, Params, Scalar, Space, walk

Shape: TypeAlias = Literal["bowl", "kink", "cliff", "funnel", "ripple"]

_SHAPES: dict[Shape, Callable[[float], float]] = {
    "bowl": lambda d: 4 * d * d,
    "kink": lambda d: 2 * abs(d),
    "cliff": lambda d: (8.0 if d > 0 else 2.0) * d * d,  # like too large a learning rate
    "funnel": lambda d: -math.expm1(-d * d / (2 * FUNNEL**2)),
    "ripple": lambda d: 4 * d * d + 0.3 * math.sin(3 * math.pi * d) ** 2,
}
FUNNEL = 0.2
"""Standard deviation of a funnel, as a share of the range."""

Outer: TypeAlias = Literal["plain", "saturating", "log", "capped"]

CHANCE = 0.96
"""Penalty of the plateau of `capped`; every larger sum of penalties gives the same loss."""

_OUTER: dict[Outer, Callable[[float], float]] = {
    "plain": lambda s: s,
    "saturating": lambda s: -math.expm1(-s),
    "log": math.log1p,
    "capped": lambda s: min(s, CHANCE),
}


@dataclass(frozen=True, slots=True)
class Number:
    """Penalises a number by its distance from a target.

    Attributes:
        domain: domain of the number.
        target: best position in `[0, 1]`.
        weight: penalty at a distance of about half the range.
        follows: path of another number. The target moves by `slope` times that number's
            distance from its own target.
    """

    domain: Domain
    target: float
    weight: float
    shape: Shape = "bowl"
    follows: str = ""
    slope: float = 0.0


@dataclass(frozen=True, slots=True)
class ChoicePenalty:
    """Penalises each value of a categorical; the best value costs nothing."""

    costs: Mapping[Scalar, float]


Term: TypeAlias = Number | ChoicePenalty


@dataclass(frozen=True, slots=True)
class Pair:
    """Penalises pairs of choices that clash; unlisted pairs cost nothing."""

    first: str
    second: str
    costs: Mapping[tuple[Scalar, Scalar], float]


@dataclass(frozen=True, slots=True)
class Landscape:
    """Computes the loss `best + outer(sum of the penalties of active parameters and pairs)`.

    Attributes:
        terms: path -> penalty, for every parameter of the space.
        optimum: point at which all penalties are zero.
        best: loss at the optimum.
    """

    terms: Mapping[str, Term]
    optimum: Params
    best: float
    pairs: tuple[Pair, ...] = ()
    outer: Outer = "plain"

    def __call__(self, params: Params) -> float:
        """Return the loss of a valid point."""
        total = sum(self._penalty(path, value, params) for path, value in params.items())
        for pair in self.pairs:
            # `get`, because indexing would resolve short names of inactive parameters
            total += pair.costs.get((params.get(pair.first), params.get(pair.second)), 0.0)
        return self.best + _OUTER[self.outer](total)

    def _penalty(self, path: str, value: Scalar, params: Params) -> float:
        term = self.terms[path]
        if isinstance(term, ChoicePenalty):
            return term.costs[value]
        away = term.domain.to_unit(value) - term.target - self._moved(term, params)
        return term.weight * _SHAPES[term.shape](away)

    def _moved(self, term: Number, params: Params) -> float:
        """Return the shift of a target caused by the number that it follows."""
        other = self.terms.get(term.follows)
        if not isinstance(other, Number) or term.follows not in params:
            return 0.0
        return term.slope * (other.domain.to_unit(params[term.follows]) - other.target)


def best_point(space: Space, terms: Mapping[str, Term]) -> Params:
    """Return the point with the cheapest choice or the target at every decision."""

    def picker(p: Parameter, chosen: Mapping[str, Scalar]) -> Scalar:
        term = terms[p.path]
        if isinstance(term, Number):
            return p.domain.from_unit(term.target)
        return min(term.costs, key=lambda value: term.costs[value])

    return walk(space, picker)
