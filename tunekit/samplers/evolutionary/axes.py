"""A space as structure and numbers: which decisions make the shape of a point, which fill it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from tunekit.spaces import Categorical, Float, Int, Parameter, Params, Scalar, Space
from tunekit.spaces.constant import Constant
from tunekit.spaces.domains import SPECIAL_SHARE

SMALL_LOG_INT = 16
"""Values up to which a logarithmic integer is a grid of equal cells rather than a line."""

Shape: TypeAlias = tuple[tuple[str, str], ...]
"""What tells the structures of points apart: the values of the switches, in traversal order."""


@dataclass(frozen=True, slots=True)
class Axis:
    """A number as a coordinate in `[0, 1]`.

    Attributes:
        step: width of a cell where there are only so many values; 0 on a continuous range.
    """

    path: str
    domain: Float | Int | Categorical
    step: float
    is_small_log: bool

    @property
    def bounds(self) -> tuple[float, float]:
        """Return the least and the largest coordinate: the middles of the outer cells."""
        return self.step / 2, 1 - self.step / 2

    def value(self, x: float) -> Scalar:
        """Return the value at a coordinate; what lies outside is moved to the bound."""
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
    """Sorts the parameters of a space: switches make the structure of a point, numbers fill it.

    A switch is a parameter that opens others; so is the question whether a number has one of
    its special values. The other categoricals are free choices. Numbers are floats, ints and
    ordered categoricals that open nothing.

    Attributes:
        axes: path -> coordinate of every number with more than one value.
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
        """Return what two points of the same structure have in common."""
        found = []
        for p in self._switches:
            if p.path in params:
                value = params[p.path]
                if p.path in self._parents or value in specials(p):
                    found.append((p.path, repr(value)))
        return tuple(found)

    def numbers(self, params: Params) -> list[Axis]:
        """Return the active numbers of a point that are not at a special value."""
        return [
            axis
            for path, axis in self.axes.items()
            if path in params and not is_special(axis.domain, params[path])
        ]


def specials(p: Parameter) -> tuple[float, ...]:
    """Return the special values of a parameter, if it has any."""
    return p.domain.special if isinstance(p.domain, Float | Int) else ()


def is_special(domain: object, value: Scalar) -> bool:
    """Return whether a value is one of its domain's special values."""
    return isinstance(domain, Float | Int) and value in domain.special


def axis_of(p: Parameter) -> Axis | None:
    """Return the coordinate of a number, or `None` where there is nothing to move along."""
    domain = p.domain
    if isinstance(domain, Categorical):
        n = len(domain.choices)
        return Axis(p.path, domain, 1 / n, False) if domain.ordered and n > 1 else None
    if not isinstance(domain, Float | Int) or domain.lo == domain.hi:
        return None
    if isinstance(domain, Float):
        step = 0.0 if domain.step is None else 1 / domain.n_cells()
        return Axis(p.path, domain, step, False) if step < 1 else None
    n = domain.grid()[2]
    if n == 1:
        return None
    if domain.log and n > SMALL_LOG_INT:
        return Axis(p.path, domain, 0.0, False)
    return Axis(p.path, domain, 1 / n, domain.log)
