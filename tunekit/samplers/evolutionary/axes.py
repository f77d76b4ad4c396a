"""Splits a space into switches, which shape a point, and numbers, which fill it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from tunekit.spaces import Categorical, Float, Int, Parameter, Params, Scalar, Space
from tunekit.spaces.constant import Constant
from tunekit.spaces.domains import SPECIAL_SHARE

SMALL_LOG_INT = 16
"""Maximum values of a logarithmic integer to treat as a grid of equal cells."""

Shape: TypeAlias = tuple[tuple[str, str], ...]
"""Identifies the structure of a point: the values of its switches, in traversal order."""


@dataclass(frozen=True, slots=True)
class NumberAxis:
    """A number as a coordinate in `[0, 1]`.

    Attributes:
        step: width of a cell of a discrete range; 0 on a continuous range.
    """

    path: str
    domain: Float | Int | Categorical
    step: float
    is_small_log: bool

    @property
    def bounds(self) -> tuple[float, float]:
        """Return the smallest and largest coordinate: the middles of the outer cells."""
        return self.step / 2, 1 - self.step / 2

    def value(self, x: float) -> Scalar:
        """Return the value at a coordinate, clipped to `[0, 1]`."""
        x = min(max(float(x), 0.0), 1.0)  # a NumPy float would make NumPy values
        if self.is_small_log:
            n = round(1 / self.step)
            return int(self._numeric().lo) + min(int(x * n), n - 1)
        if not isinstance(self.domain, Categorical) and self.domain.special:
            x = SPECIAL_SHARE + x * (1 - SPECIAL_SHARE)
        return self.domain.from_unit(x)

    def coordinate(self, value: Scalar) -> float:
        """Return the coordinate of a value of the range, in the middle of its cell."""
        if self.is_small_log:
            assert isinstance(value, int)
            return (value - self._numeric().lo + 0.5) * self.step
        u = self.domain.to_unit(value)  # type: ignore[arg-type]
        if not isinstance(self.domain, Categorical) and self.domain.special:
            u = (u - SPECIAL_SHARE) / (1 - SPECIAL_SHARE)
        return min(max(u, self.bounds[0]), self.bounds[1])

    def _numeric(self) -> Int:
        assert isinstance(self.domain, Int)
        return self.domain


class Structure:
    """Sorts the parameters of a space into switches, free choices and numbers.

    Switches shape a point: parameters that open others, and the decision whether a number takes
    a special value. Numbers are floats, ints and ordered categoricals that open nothing. All
    other categoricals are free choices.

    Attributes:
        axes: path -> axis of every number with more than one value.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        self._parents = {c.parent for p in space for c in p.conditions}
        found = ((p.path, axis_of(p)) for p in space if p.path not in self._parents)
        self.axes = {path: axis for path, axis in found if axis is not None}
        self._switches = tuple(
            p
            for p in space
            if (p.path in self._parents and not isinstance(p.domain, Constant)) or specials(p)
        )

    def is_switch(self, path: str) -> bool:
        """Return whether a parameter opens others."""
        return path in self._parents

    def shape(self, params: Mapping[str, Scalar]) -> Shape:
        """Return the structure of a point, equal for all points with the same switch values."""
        found = []
        for p in self._switches:
            if p.path in params:
                value = params[p.path]
                if p.path in self._parents or value in specials(p):
                    found.append((p.path, repr(value)))
        return tuple(found)

    def numbers(self, params: Params) -> list[NumberAxis]:
        """Return the active numbers of a point that are not at a special value."""
        return [
            axis
            for path, axis in self.axes.items()
            if path in params and not is_special(axis.domain, params[path])
        ]


def specials(p: Parameter) -> tuple[float, ...]:
    """Return the special values of a parameter, empty if it has none."""
    return p.domain.special if isinstance(p.domain, Float | Int) else ()


def is_special(domain: object, value: Scalar) -> bool:
    """Return whether a value is one of its domain's special values."""
    return isinstance(domain, Float | Int) and value in domain.special


def axis_of(p: Parameter) -> NumberAxis | None:
    """Return the axis of a number, `None` if it has nothing to move along."""
    domain = p.domain
    if isinstance(domain, Categorical):
        n = len(domain.choices)
        return NumberAxis(p.path, domain, 1 / n, False) if domain.ordered and n > 1 else None
    if not isinstance(domain, Float | Int) or domain.lo == domain.hi:
        return None
    if isinstance(domain, Float):
        step = 0.0 if domain.step is None else 1 / domain.n_cells()
        return NumberAxis(p.path, domain, step, False) if step < 1 else None
    n = domain.grid()[2]
    if n == 1:
        return None
    if domain.log and n > SMALL_LOG_INT:
        return NumberAxis(p.path, domain, 0.0, False)
    return NumberAxis(p.path, domain, 1 / n, domain.log)
