"""The fidelities at which the trials of a study run."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from tunekit.spaces import Float, Int, Space

RATIO = 3.0
"""Ratio between adjacent fidelities, as in successive halving."""

MAX_LEVELS = 5


@dataclass(frozen=True)
class FidelityLevels:
    """The fidelity parameter of a space and its levels.

    Attributes:
        path: path of the parameter.
        domain: its values; the largest is the target.
        is_free: whether no constraint of the space names it.
    """

    path: str
    domain: Float | Int
    is_free: bool = True

    @cached_property
    def levels(self) -> tuple[float, ...]:
        """The fidelities that trials run at, ascending; the last is the target."""
        target = float(self.domain.default_value())
        wanted = [target / RATIO**k for k in range(MAX_LEVELS)]
        inside = [v for v in wanted if v >= self.domain.lo]
        if len(inside) == 1:  # a narrow range uses its two ends
            inside.append(float(self.domain.lo))
        found = [self.domain.from_unit(min(self.domain.to_unit(v), 1.0)) for v in inside]
        return tuple(sorted(set(found)))

    @property
    def target(self) -> float:
        """Return the target fidelity, the largest value."""
        return self.levels[-1]

    def first(self, number: int) -> float:
        """Return the fidelity of a trial of the initial design: all below the target in turn."""
        below = self.levels[:-1] if self.is_free else ()
        return below[number % len(below)] if below else self.target


def fidelity_levels(space: Space) -> FidelityLevels | None:
    """Return the fidelity of a space, `None` if it has none."""
    path = space.fidelity
    if path is None:
        return None
    domain = space.by_path[path].domain
    assert isinstance(domain, Float | Int)
    named = {p for c in space.compiled_constraints for p in c.names.values()}
    return FidelityLevels(path, domain, path not in named)
