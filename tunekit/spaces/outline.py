"""Computes, once per space, the structure needed to search for feasible points."""

from __future__ import annotations

import math
from functools import cached_property, lru_cache

from tunekit.spaces import ranges
from tunekit.spaces.constant import Constant
from tunekit.spaces.constraints import Constraint
from tunekit.spaces.domains import SPECIAL_SHARE, Domain, Float, Int
from tunekit.spaces.encode import Encoder
from tunekit.spaces.parameters import Parameter
from tunekit.spaces.ranges import Range
from tunekit.spaces.tree import Categorical, Space


class Outline:
    """Holds the structure of a space needed to search for feasible points.

    Attributes:
        opened_by: path -> the parameters whose activity depends on it, in traversal order.
        touching: path -> constraints that name it or a parameter that it activates.
        places: path -> their positions among all constraints of the space.
        encoder: encoder of the space.
        ranks: path -> number of decisions to make before it, in sequence.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        self.opened_by: dict[str, list[Parameter]] = {p.path: [] for p in space}
        self.ranks: dict[str, int] = {}
        above: dict[str, set[str]] = {}
        for p in space:  # parents precede their children
            above[p.path] = {c.parent for c in p.conditions}
            above[p.path] |= {a for c in p.conditions for a in above[c.parent]}
            self.ranks[p.path] = max((1 + self.ranks[c.parent] for c in p.conditions), default=0)
            for path in above[p.path]:
                self.opened_by[path].append(p)
        found: dict[str, dict[int, Constraint]] = {p.path: {} for p in space}
        for i, constraint in enumerate(space.compiled_constraints):
            for path in constraint.names.values():
                for named in (path, *above[path]):
                    found[named][i] = constraint
        self.touching = {path: tuple(cs.values()) for path, cs in found.items()}
        self.places = {path: tuple(cs) for path, cs in found.items()}
        self.encoder = Encoder(space)

    @cached_property
    def near(self) -> dict[str, frozenset[str]]:
        """Path -> the other parameters of the constraints that touch it."""
        named = [frozenset(c.names.values()) for c in self.space.compiled_constraints]
        return {
            path: frozenset().union(*(named[i] for i in at)) - {path}
            for path, at in self.places.items()
        }

    def touching_any(self, *paths: str) -> list[Constraint]:
        """Return the constraints that touch any of several paths."""
        constraints = self.space.compiled_constraints
        return [constraints[i] for i in sorted({i for p in paths for i in self.places[p]})]

    @cached_property
    def open_ranges(self) -> dict[str, Range]:
        """The full range of each path's domain."""
        return {p.path: domain_range(p.domain) for p in self.space}


@lru_cache(maxsize=32)
def outline(space: Space) -> Outline:
    """Return the cached outline of a space."""
    return Outline(space)


def domain_range(domain: Domain) -> Range:
    """Return the values of a domain."""
    if isinstance(domain, Constant):
        return ranges.of_values((domain.value,))
    if isinstance(domain, Categorical):
        return ranges.of_values(domain.choices)
    assert isinstance(domain, Float | Int)
    lo, hi = min(domain.lo, *domain.special, domain.hi), max(domain.hi, *domain.special, domain.lo)
    return _between(domain, lo, hi)


def cut(domain: Domain, r: Range, lo: float, hi: float) -> Range:
    """Return a domain's values between bounds, or the range itself if the bounds exclude none."""
    if isinstance(domain, Float | Int) and r.values is None:
        is_cut = lo > r.lo or hi < r.hi
        return _between(domain, max(r.lo, lo), min(r.hi, hi)) if is_cut else r
    values = r.values
    if values is None:
        assert isinstance(domain, Categorical)
        lo, hi, values = max(r.lo, lo), min(r.hi, hi), domain.choices
    left = [v for v in values if isinstance(v, int | float) and lo <= v <= hi]
    return r if len(left) == len(values) else ranges.of_values(left)


def _between(domain: Float | Int, lo: float, hi: float) -> Range:
    """Return the values of a domain between two bounds, listed if they are few."""
    special = [v for v in domain.special if lo <= v <= hi]
    if isinstance(domain, Float) and domain.step is None:
        lo, hi = max(lo, domain.lo), min(hi, domain.hi)
        ends = [*special, lo, hi] if lo <= hi else special
        return ranges.of_values(ends) if lo >= hi else Range(min(ends), max(ends))
    cells = _cells(domain, lo, hi)
    if len(cells) + len(special) > ranges.MAX_VALUES:
        ends = [max(_at(domain, cells[0]), lo), min(_at(domain, cells[-1]), hi), *special]
        return Range(min(ends), max(ends))
    found = dict.fromkeys([*(_at(domain, k) for k in cells), *special])
    return ranges.of_values([v for v in found if lo <= v <= hi])


def _cells(domain: Float | Int, lo: float, hi: float) -> range:
    """Return the cells of a grid whose values may lie between two bounds."""
    if isinstance(domain, Int):
        start, step, n = domain.grid()
        first, last = -((start - math.ceil(lo)) // step), (math.floor(hi) - start) // step
    else:
        n, step_ = domain.n_cells(), domain.step or 1.0
        first = math.floor((lo - domain.lo) / step_ - 1e-6)
        last = math.ceil((hi - domain.lo) / step_ + 1e-6)
    return range(max(first, 0), min(last, n - 1) + 1)


def _at(domain: Float | Int, cell: int) -> float:
    if isinstance(domain, Int):
        start, step, _ = domain.grid()
        return start + cell * step
    inner = (cell + 0.5) / domain.n_cells()
    return domain.from_unit(
        SPECIAL_SHARE + inner * (1.0 - SPECIAL_SHARE) if domain.special else inner
    )
