"""The parameters of a space, with their paths, domains and conditions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tunekit.spaces.domains import Domain, Scalar


@dataclass(frozen=True, slots=True)
class Condition:
    """Holds when the parameter at `parent` is active and has one of `values`."""

    parent: str
    values: frozenset[Scalar]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One dimension of the space, with everything a sampler needs to know about it.

    Attributes:
        path: the dotted path, unique in the space.
        domain: its values.
        conditions: all must hold for the parameter to be active; the last is its tree parent's.
        depth: number of switches above it.
    """

    path: str
    domain: Domain
    conditions: tuple[Condition, ...] = ()
    depth: int = 0

    @property
    def parent(self) -> str | None:
        """Return the path of the parameter whose value opens this one, `None` for a root."""
        return self.conditions[-1].parent if self.conditions else None

    def is_active(self, chosen: Mapping[str, Scalar]) -> bool:
        """Return whether it has a value in a point, given the values of its parents."""
        # `in` first: Params resolves short names on a missing key, which is not wanted here.
        return all(c.parent in chosen and chosen[c.parent] in c.values for c in self.conditions)

    def requirement(self) -> str:
        """Return as text when it is active."""
        return " and ".join(
            f"{c.parent} in {{{', '.join(sorted(map(repr, c.values)))}}}" for c in self.conditions
        )
