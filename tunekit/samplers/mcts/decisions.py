"""Represents the discrete decisions of a space as edges of a search tree.

The values of a discrete parameter have the places 0 to n - 1. An edge narrows a parameter to a
range of places: an unordered choice to a single place, an ordered one to its lower or upper half,
so that neighbouring values share the statistics of their common halves.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tunekit.errors import InvalidParams
from tunekit.spaces import Categorical, Domain, Float, Int, Parameter, Scalar, Space
from tunekit.spaces.possible import Decisions
from tunekit.spaces.ranges import ANYTHING, MAX_VALUES, Range, of_values


class Edge(NamedTuple):
    """Narrows a parameter to its places `lo` to `hi` - 1."""

    path: str
    lo: int
    hi: int


@dataclass(frozen=True, slots=True)
class ChoiceAxis:
    """The values of one discrete parameter, by place.

    Attributes:
        n: number of places.
        is_bisected: whether edges halve the range; otherwise one edge leads to each place.
        place: maps a value to its place.
        value: maps a place to its value.
        middle: maps (lo, hi) to the first place of the upper half.
    """

    parameter: Parameter
    n: int
    is_bisected: bool
    place: Callable[[Scalar], int]
    value: Callable[[int], Scalar]
    middle: Callable[[int, int], int]

    def split(self, lo: int, hi: int) -> list[Edge]:
        """Return the edges that lead on from the places `lo` to `hi` - 1."""
        path = self.parameter.path
        if not self.is_bisected:
            return [Edge(path, i, i + 1) for i in range(lo, hi)]
        middle = self.middle(lo, hi)
        return [Edge(path, lo, middle), Edge(path, middle, hi)]

    def edges_to(self, value: Scalar) -> list[Edge]:
        """Return the edges that narrow the parameter to one value, empty if it has a single value.

        Raises:
            InvalidParams: the value lies outside the domain (the space was edited).
        """
        domain, path = self.parameter.domain, self.parameter.path
        place = self.place(domain.validate(value, path))
        if not self.is_bisected:
            return [Edge(path, place, place + 1)] if self.n > 1 else []
        edges = []
        lo, hi = 0, self.n
        while hi - lo > 1:
            middle = self.middle(lo, hi)
            lo, hi = (lo, middle) if place < middle else (middle, hi)
            edges.append(Edge(path, lo, hi))
        return edges


def axes_of(space: Space, *, bins: int | None = None) -> dict[str, ChoiceAxis]:
    """Return the parameters that a search tree decides, in traversal order.

    These are all categoricals, and the integers that open children (such as counts of a
    `Repeat`). With `bins` also all other numbers: integers by value, floats by bin.
    """
    switches = {c.parent for p in space for c in p.conditions}
    axes = {}
    for p in space:
        if isinstance(p.domain, Categorical):
            axes[p.path] = _choices(p, p.domain)
        elif isinstance(p.domain, Int) and (bins is not None or p.path in switches):
            axes[p.path] = _integers(p, p.domain)
        elif isinstance(p.domain, Float) and bins is not None:
            axes[p.path] = _bins(p, p.domain, bins)
    return axes


def edges_of(axes: Mapping[str, ChoiceAxis], params: Mapping[str, Scalar]) -> tuple[Edge, ...]:
    """Return the edges from the root to a point, up to the first value outside the space."""
    edges: list[Edge] = []
    for path, axis in axes.items():
        if path not in params:
            continue
        try:
            edges.extend(axis.edges_to(params[path]))
        except InvalidParams:
            break
    return tuple(edges)


def floor_middle(lo: int, hi: int) -> int:
    """Return the first place of the upper half; the lower half takes an odd place."""
    return (lo + hi - 1) // 2 + 1


def _choices(parameter: Parameter, domain: Categorical) -> ChoiceAxis:
    choices = domain.choices
    places = {(type(c) is bool, c): i for i, c in enumerate(choices)}
    return ChoiceAxis(
        parameter,
        len(choices),
        domain.ordered,
        lambda v: places[type(v) is bool, v],
        lambda i: choices[i],
        floor_middle,
    )


def _integers(parameter: Parameter, domain: Int) -> ChoiceAxis:
    lo, step, n = domain.grid()
    inside = range(lo, lo + n * step, step)
    extra = [int(v) for v in domain.special if v not in inside]  # placed before the range

    def place(value: Scalar) -> int:
        number = int(value)  # type: ignore[arg-type]
        return extra.index(number) if number in extra else len(extra) + (number - lo) // step

    def value(i: int) -> Scalar:
        return extra[i] if i < len(extra) else lo + (i - len(extra)) * step

    def geometric_middle(first: int, end: int) -> int:
        if first < len(extra):
            return floor_middle(first, end) if end <= len(extra) else len(extra)
        root = math.sqrt(float(value(first)) * float(value(end - 1)))  # type: ignore[arg-type]
        return min(max(place(math.floor(root)) + 1, first + 1), end - 1)

    middle = geometric_middle if domain.log else floor_middle
    return ChoiceAxis(parameter, n + len(extra), True, place, value, middle)


def _bins(parameter: Parameter, domain: Domain, bins: int) -> ChoiceAxis:
    n = int(min(bins, domain.size))
    return ChoiceAxis(
        parameter,
        n,
        True,
        lambda v: min(int(domain.to_unit(v) * n), n - 1),
        lambda i: domain.from_unit((i + 0.5) / n),
        floor_middle,
    )


def descend(
    space: Space,
    axes: Mapping[str, ChoiceAxis],
    pick: Callable[[Sequence[Edge]], Edge | None],
    *,
    fixed: Mapping[str, Scalar],
) -> tuple[dict[str, Scalar], tuple[Edge, ...]]:
    """Return the decisions of one descent from the root, as values and as edges.

    `pick` chooses among the edges of each decision: the only one towards a fixed value, else all
    whose values leave the constraints satisfiable. The descent ends when it returns `None`.
    """
    made = Decisions(space)
    chosen = made.chosen
    taken: list[Edge] = []
    for path, axis in axes.items():
        if not axis.parameter.is_active(chosen):
            continue
        lo, hi = 0, axis.n
        wanted = [[e] for e in axis.edges_to(fixed[path])] if path in fixed else []
        while hi - lo > 1:
            open_edges = wanted.pop(0) if wanted else axis.split(lo, hi)
            edge = pick(_allowed(made, axis, open_edges))
            if edge is None:
                return chosen, tuple(taken)
            taken.append(edge)
            _, lo, hi = edge
        made.decide(path, axis.value(lo))
    return chosen, tuple(taken)


def _allowed(made: Decisions, axis: ChoiceAxis, edges: list[Edge]) -> list[Edge]:
    """Return the edges that leave all constraints satisfiable, or all edges if none does."""
    path = axis.parameter.path
    if not made.outline.touching[path]:
        return edges
    return [e for e in edges if made.allows(path, _values(axis, e))] or edges


def _values(axis: ChoiceAxis, edge: Edge) -> Range:
    if edge.hi - edge.lo > MAX_VALUES:
        return ANYTHING
    return of_values([axis.value(i) for i in range(edge.lo, edge.hi)])
