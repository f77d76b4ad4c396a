"""A loss over a tree that is known exactly: penalties that all vanish at one hidden point.

Every penalty is at least zero, so that no point lies below the optimum, whatever the seed.
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
    "cliff": lambda d: (8.0 if d > 0 else 2.0) * d * d,  # as a learning rate that is too large
    "funnel": lambda d: -math.expm1(-d * d / (2 * FUNNEL**2)),
    "ripple": lambda d: 4 * d * d + 0.3 * math.sin(3 * math.pi * d) ** 2,
}
FUNNEL = 0.2
"""Standard deviation of a funnel, as a share of the range."""

Outer: TypeAlias = Literal["plain", "saturating", "log"]

_OUTER: dict[Outer, Callable[[float], float]] = {
    "plain": lambda s: s,
    "saturating": lambda s: -math.expm1(-s),
    "log": math.log1p,
}


@dataclass(frozen=True, slots=True)
class Number:
    """The penalty of a number by its distance from a target.

    Attributes:
        domain: where the number lies.
        target: its best place in `[0, 1]`.
        weight: the penalty about half a range away.
        follows: path of another number; the further that is from its own target, the further
            this target moves, by `slope` of the distance.
    """

    domain: Domain
    target: float
    weight: float
    shape: Shape = "bowl"
    follows: str = ""
    slope: float = 0.0


@dataclass(frozen=True, slots=True)
class ChoicePenalty:
    """The penalty of each value of a categorical; its best one costs nothing."""

    costs: Mapping[Scalar, float]


Term: TypeAlias = Number | ChoicePenalty


@dataclass(frozen=True, slots=True)
class Pair:
    """The penalty of two choices that do not go together; pairs left out cost nothing."""

    first: str
    second: str
    costs: Mapping[tuple[Scalar, Scalar], float]


@dataclass(frozen=True, slots=True)
class Landscape:
    """The loss `best + outer(sum of all penalties of the active parameters)`.

    Attributes:
        terms: path -> penalty, of every parameter of the space.
        optimum: the point at which all penalties are zero.
        best: the loss there.
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
            # `get`, for a point resolves short names of parameters that are inactive
            total += pair.costs.get((params.get(pair.first), params.get(pair.second)), 0.0)
        return self.best + _OUTER[self.outer](total)

    def _penalty(self, path: str, value: Scalar, params: Params) -> float:
        term = self.terms[path]
        if isinstance(term, ChoicePenalty):
            return term.costs[value]
        away = term.domain.to_unit(value) - term.target - self._moved(term, params)
        return term.weight * _SHAPES[term.shape](away)

    def _moved(self, term: Number, params: Params) -> float:
        """Return how far a target has moved because another number is off its own."""
        other = self.terms.get(term.follows)
        if not isinstance(other, Number) or term.follows not in params:
            return 0.0
        return term.slope * (other.domain.to_unit(params[term.follows]) - other.target)


def best_point(space: Space, terms: Mapping[str, Term]) -> Params:
    """Return the point that takes the cheapest choice and the target at every decision."""

    def picker(p: Parameter, chosen: Mapping[str, Scalar]) -> Scalar:
        term = terms[p.path]
        if isinstance(term, Number):
            return p.domain.from_unit(term.target)
        return min(term.costs, key=lambda value: term.costs[value])

    return walk(space, picker)
