"""Bounds all constraints of a space once some of its decisions are made."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from copy import copy

from tunekit.spaces import ranges
from tunekit.spaces.constraints import Constraint
from tunekit.spaces.domains import Scalar
from tunekit.spaces.outline import cut, outline
from tunekit.spaces.parameters import Condition, Parameter
from tunekit.spaces.propagate import Contradiction
from tunekit.spaces.ranges import Range
from tunekit.spaces.tree import Space

MAX_NARROWED = 40
"""Maximum number of times each constraint narrows, on average, before a fixed point is left open.

Bounds may approach each other in a million steps, as those of `a < b` and `b < a` do.
"""


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
        self._left: dict[str, Range] = {}  # the values of parameters that are active
        self._changed: list[str] = []
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

    def settle(
        self, paths: Iterable[str] | None = None, *, among: Collection[int] | None = None
    ) -> Constraint | None:
        """Narrow all parameters to what the constraints leave of them, up to a fixed point.

        Args:
            paths: the parameters that have changed; all by default.
            among: the positions of the constraints that count; all by default.

        Returns:
            A constraint that can no longer hold, `None` if there is none.
        """
        constraints = self.outline.space.compiled_constraints
        counting = range(len(constraints)) if among is None else among
        first_ones = counting if paths is None else self._placed(paths, counting)
        queue: dict[int, None] = dict.fromkeys(first_ones)
        for _ in range(MAX_NARROWED * len(constraints)):
            if not queue:
                break
            first = next(iter(queue))
            del queue[first]
            try:
                constraints[first].narrow(self)
                for path in self._changed:  # grows while it closes switches
                    self._close_below(path)
            except Contradiction:
                self._changed.clear()
                return constraints[first]
            queue.update(dict.fromkeys(self._placed(self._changed, counting)))
            self._changed.clear()
        return None

    def _placed(self, paths: Iterable[str], among: Collection[int]) -> Iterator[int]:
        places = self.outline.places
        return (i for path in paths for i in places[path] if i in among)

    def bound(self, path: str, lo: float, hi: float) -> None:
        """Keep the numbers of a parameter within these bounds, and no text.

        Raises:
            Contradiction: none is left, but the parameter is active.
        """
        self._replace(path, cut(self._by_path[path].domain, self._known(path), lo, hi))

    def keep(self, path: str, test: Callable[[Scalar], bool]) -> None:
        """Keep the values of a parameter that pass, if they are few.

        Raises:
            Contradiction: none is left, but the parameter is active.
        """
        known = self._known(path)
        if known.values is not None:
            left = [v for v in known.values if test(v)]
            self._replace(
                path, known if len(left) == len(known.values) else ranges.of_values(left)
            )

    def exclude(self, path: str, value: Scalar) -> Constraint | None:
        """Give up a value of a parameter; return a constraint that can then no longer hold."""
        try:
            self.keep(path, lambda v: v != value or type(v) is not type(value))
        except Contradiction:
            self._changed.clear()
            return self.outline.touching[path][0]
        changed, self._changed = self._changed, []
        return self.settle(changed) if changed else None

    def copy(self) -> Decisions:
        """Return independent decisions that start from these."""
        new = copy(self)
        new.chosen, new._left, new._ranges = (
            dict(self.chosen),
            dict(self._left),
            dict(self._ranges),
        )
        new._changed = []
        return new

    def impossible(self) -> Iterable[Constraint]:
        """Yield the constraints that can no longer hold, whatever is decided next."""
        return (c for c in self.outline.space.compiled_constraints if not c.is_possible(self))

    def _known(self, path: str) -> Range:
        """Return the values that a parameter has left, if it is active."""
        if path in self.chosen:
            return self._ranges[path]
        return self._left.get(path) or self.outline.open_ranges[path]

    def _replace(self, path: str, new: Range) -> None:
        if new is self._known(path):
            return
        if path in self.chosen:
            raise Contradiction
        self._left[path] = new
        self._ranges.pop(path, None)
        self._forget(path)
        self._changed.append(path)
        if new.is_empty:
            self._close(self._by_path[path])

    def _close_below(self, path: str) -> None:
        for p in self.outline.opened_by[path]:
            if p.path in self._left and self._left[p.path].is_empty:
                self._close(p)

    def _close(self, p: Parameter) -> None:
        """Keep inactive a parameter without a value, where one condition alone decides that."""
        unsure = []
        for c in p.conditions:
            can_hold, can_fail = self._outcomes(c)
            if not can_hold:
                return
            if can_fail:
                unsure.append(c)
        if not unsure:
            raise Contradiction
        if len(unsure) == 1:
            closing = unsure[0].values
            self.keep(unsure[0].parent, lambda v: v not in closing)

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
        found = self._left.get(p.path) or self.outline.open_ranges[p.path]
        if found.is_empty:
            return ranges.LACKING if may_lack else ranges.NOTHING
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
