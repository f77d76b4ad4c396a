"""The fidelities at which the trials of a study run, along one axis or several."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product

from tunekit.spaces import Float, Int, Scalar, Space

RATIO = 3.0
"""Ratio between adjacent fidelities, as in successive halving."""

MAX_LEVELS = 5
"""Maximum number of levels of one axis."""

SHARE = 0.25
"""Minimum share of the total spending that goes into full runs, whatever a model predicts."""

CREDIT = 0.5
"""Spending on cheaper runs before the first full run, in full runs."""


@dataclass(frozen=True)
class FidelityLevels:
    """The fidelity of a space and its levels: its fidelity parameter and its scale axes.

    Attributes:
        paths: paths of the axes.
        domains: their values; the largest of each is the target.
        is_free: whether no constraint of the space names an axis.
    """

    paths: tuple[str, ...]
    domains: tuple[Float | Int, ...]
    is_free: bool = True

    @cached_property
    def by_axis(self) -> tuple[tuple[float, ...], ...]:
        """The levels of each axis, ascending; the last is the target."""
        return tuple(map(_levels, self.domains))

    @cached_property
    def levels(self) -> tuple[tuple[float, ...], ...]:
        """The fidelities that trials run at, a value for each axis; the last is the target."""
        return tuple(product(*self.by_axis))

    @property
    def is_ladder(self) -> bool:
        """Return whether a point can go on from level to level: along one free axis."""
        return len(self.paths) == 1 and self.is_free

    @property
    def target(self) -> tuple[float, ...]:
        """Return the target fidelity, the largest value of each axis."""
        return self.levels[-1]

    def share(self, params: Mapping[str, Scalar]) -> float:
        """Return the fidelity of a point as a share of the target.

        That of several axes is the product of theirs, as compute is of parameters and tokens.
        """
        share = 1.0
        for path, target in zip(self.paths, self.target, strict=True):
            value = params.get(path, target)
            share *= float(value) / target if isinstance(value, int | float) else 1.0
        return share

    def first(self, number: int) -> Mapping[str, float]:
        """Return the fidelity of a trial of the initial design: all below the target in turn.

        Several axes go through their levels at different offsets, so that they vary apart.
        """
        found = {}
        for i, (path, levels) in enumerate(zip(self.paths, self.by_axis, strict=True)):
            n = len(levels) - 1
            turn = number + i * (1 + number // max(n, 1))
            found[path] = levels[turn % n] if n and self.is_free else levels[-1]
        return found


def fidelity_levels(space: Space) -> FidelityLevels | None:
    """Return the fidelity of a space, `None` if it has none."""
    paths = tuple(space.target)
    if not paths:
        return None
    domains = [space.by_path[path].domain for path in paths]
    named = {p for c in space.compiled_constraints for p in c.names.values()}
    numbers = tuple(d for d in domains if isinstance(d, Float | Int))
    return FidelityLevels(paths, numbers, named.isdisjoint(paths))


def is_full_run_due(below: float, full: float) -> bool:
    """Return whether cheaper runs have had their share of the spending.

    Args:
        below: what cheaper runs cost, in full runs.
        full: what full runs cost, in full runs.
    """
    return SHARE * (below - CREDIT) > (1.0 - SHARE) * full


def _levels(domain: Float | Int) -> tuple[float, ...]:
    """Return the levels of one axis, ascending; the last is the target."""
    target = float(domain.default_value())
    inside = [v for k in range(MAX_LEVELS) if (v := target / RATIO**k) >= domain.lo]
    if len(inside) == 1:  # a narrow range uses its two ends
        inside.append(float(domain.lo))
    return tuple(sorted({domain.from_unit(min(domain.to_unit(v), 1.0)) for v in inside}))
