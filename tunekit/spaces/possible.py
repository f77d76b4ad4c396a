"""Bounds all constraints of a space once some of its decisions are made."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import cached_property, lru_cache

from tunekit.spaces import ranges
from tunekit.spaces.constant import Constant
from tunekit.spaces.constraints import Constraint
from tunekit.spaces.domains import Domain, Float, Int, Scalar
from tunekit.spaces.parameters import Condition, Parameter
from tunekit.spaces.ranges import Range
from tunekit.spaces.tree import Categorical, Space


class Outline:
    """The structure of a space that a search for feasible points needs.

    Attributes:
        opened_by: path -> the parameters whose activity depends on it, in traversal order.
        touching: path -> the constraints that name it or a parameter that it opens.
        ranks: path -> number of decisions to make before it, in sequence.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        self.opened_by: dict[str, list[Parameter]] = {p.path: [] for p in space}
        self.ranks: dict[str, int] = {}
        above: dict[str, set[str]] = {}
        for p in space:  # a parent stands before its children
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
    if domain.size <= ranges.MAX_VALUES and isinstance(domain, Int):
        start, step, n = domain.grid()
        return ranges.of_values((*range(start, start + n * step, step), *domain.special))
    return Range(lo, hi)


class Decisions:
    """The decisions made so far, from which constraints read the open ranges.

    Args:
        space: of the decisions.
        chosen: values of active parameters.
    """

    def __init__(self, space: Space, chosen: Mapping[str, Scalar] | None = None) -> None:
        self.outline = outline(space)
        self.chosen: dict[str, Scalar] = dict(chosen or {})
        self._by_path = space.by_path
        self._ranges = {path: ranges.of_values((v,)) for path, v in self.chosen.items()}

    def range(self, path: str) -> Range:
        """Return the values that a parameter can still have."""
        found = self._ranges.get(path)
        if found is None:
            found = self._ranges[path] = self._open(self._by_path[path])
        return found

    def is_active(self, path: str) -> bool:
        """Return whether a parameter has a value, once all decisions above it are made."""
        return not (r := self.range(path)).is_empty and not r.may_lack

    def decide(self, path: str, value: Scalar) -> None:
        """Set the value of a parameter."""
        self.chosen[path] = value
        self._set(path, ranges.of_values((value,)))

    def reopen(self, path: str) -> None:
        """Undo the decision on a parameter, if it was made."""
        if self.chosen.pop(path, self) is not self:
            del self._ranges[path]
            self._forget(path)

    def allows(self, path: str, values: Range) -> bool:
        """Return whether all constraints can hold with one of these values of the parameter."""
        before = self._ranges.get(path)
        self._set(path, values)
        is_possible = all(c.is_possible(self) for c in self.outline.touching[path])
        if before is None:
            del self._ranges[path]
            self._forget(path)
        else:
            self._set(path, before)
        return is_possible

    def impossible(self) -> Iterable[Constraint]:
        """Yield the constraints that can no longer hold, whatever is decided next."""
        return (c for c in self.outline.space.compiled_constraints if not c.is_possible(self))

    def _set(self, path: str, values: Range) -> None:
        self._ranges[path] = values
        self._forget(path)

    def _forget(self, path: str) -> None:
        for p in self.outline.opened_by[path]:
            if p.path not in self.chosen:
                self._ranges.pop(p.path, None)

    def _open(self, p: Parameter) -> Range:
        may_lack = False
        for c in p.conditions:
            can_hold, can_fail = self._outcomes(c)
            if not can_hold:
                return ranges.LACKING
            may_lack |= can_fail
        found = self.outline.open_ranges[p.path]
        return found.lacking() if may_lack else found

    def _outcomes(self, condition: Condition) -> tuple[bool, bool]:
        """Return whether a condition can hold, and whether it can fail."""
        parent = self.range(condition.parent)
        if parent.values is None:
            # Of many values some may open it: only all of them together are sure to.
            domain = self._by_path[condition.parent].domain
            is_sure = domain.size < math.inf and len(condition.values) >= domain.size
            return True, parent.may_lack or not is_sure
        opening = [v in condition.values for v in parent.values]
        return any(opening), parent.may_lack or not all(opening)
