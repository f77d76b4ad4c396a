"""Changes of one parameter of a point in a tree, with the parameters that they open."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from tunekit.errors import InvalidParams
from tunekit.samplers.base import repaired
from tunekit.samplers.coordinate.rules import CoordinateRules, steps_between
from tunekit.samplers.random_streams import light_stream
from tunekit.spaces import Parameter, Params, Scalar, Space, walk
from tunekit.spaces.domains import typed


@dataclass(frozen=True, slots=True)
class Step:
    """A change of one parameter: from one of its values to another.

    Attributes:
        distance: how many levels it goes, 1 for a choice without an order.
    """

    path: str
    before: Scalar
    after: Scalar
    distance: int


class Tree:
    """What a change of each parameter may mean in a space, under the rules of a descent.

    Attributes:
        levels: path -> the values of each varied parameter.
    """

    def __init__(self, space: Space, rules: CoordinateRules) -> None:
        self.space = space
        self.levels = rules.levels(space)
        self._reach = rules.reach
        self._below = _below(space)

    @property
    def n_changes(self) -> int:
        """Return about how many changes a point has."""
        widest = math.inf if self._reach is None else 2 * self._reach
        return int(sum(min(len(levels) - 1, widest) for levels in self.levels.values()))

    def steps(self, point: Mapping[str, Scalar], coordinates: Collection[str]) -> list[Step]:
        """Return all changes of one of the coordinates that are active in a point."""
        found = []
        active = dict(point)  # a point of a space finds short names too
        for path, levels in self.levels.items():
            if path not in coordinates or path not in active:
                continue
            before = active[path]
            for after in levels:
                if typed(after) == typed(before):
                    continue
                far = steps_between(self.space.by_path[path], levels, before, after)
                if self._reach is None or far <= self._reach:
                    found.append(Step(path, before, after, far))
        return found

    def opened(self, point: Mapping[str, Scalar], path: str) -> frozenset[str]:
        """Return what a change at `path` may open: below it, and not active in the point."""
        return frozenset(self._below[path] - dict(point).keys())

    def changed(
        self, point: Mapping[str, Scalar], step: Step, filled: Mapping[str, Scalar]
    ) -> Params | None:
        """Return the point after a change, `None` if the constraints of the space forbid it.

        Args:
            point: before the change.
            step: the change.
            filled: values of the parameters that it opens; defaults where there are none.
        """
        known = {**point, step.path: step.after}

        def pick(p: Parameter, _: Mapping[str, Scalar]) -> Scalar:
            if p.path in known:
                return known[p.path]
            try:
                return p.domain.validate(filled[p.path], p.path)
            except (
                KeyError,
                InvalidParams,
            ):  # not known, or known from before the space was edited
                return p.domain.default_value()

        found = walk(self.space, pick)
        if not self.space.violated(found):
            return found
        free = self.opened(point, step.path) & dict(found).keys()
        if not free:
            return None
        kept = Params({path: v for path, v in found.items() if path not in free})
        return repaired(self.space, found, light_stream(0, 0), kept)


def _below(space: Space) -> dict[str, set[str]]:
    """Return path -> all parameters whose activity depends on it."""
    below: dict[str, set[str]] = {p.path: set() for p in space.parameters}
    for p in reversed(space.parameters):  # children before their parents
        for condition in p.conditions:
            below[condition.parent] |= {p.path, *below[p.path]}
    return below
