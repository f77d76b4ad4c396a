"""The leaf domain of a fixed parameter."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tunekit.checks import shown
from tunekit.errors import InvalidParams
from tunekit.spaces.domains import Opening
from tunekit.spaces.scalars import Scalar, plain, typed


@dataclass(frozen=True, slots=True, eq=False)
class Constant:
    """One fixed value, included in every point."""

    value: Scalar

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Constant) and typed(self.value) == typed(other.value)

    def __hash__(self) -> int:
        return hash(typed(self.value))

    @property
    def domain(self) -> Constant:
        """Return itself, the domain of its parameter."""
        return self

    def openings(self) -> Iterable[Opening]:
        """Return nothing: a constant opens no child space."""
        return ()

    @property
    def size(self) -> float:
        """Return 1."""
        return 1

    def default_value(self) -> Scalar:
        """Return the value."""
        return self.value

    def validate(self, value: object, path: str) -> Scalar:
        """Return the value, or raise `InvalidParams` if another was given."""
        try:
            same = typed(plain(value)) == typed(self.value)
        except TypeError:
            same = False
        if not same:
            raise InvalidParams(
                f'parameter "{path}": got {shown(value)}, but it is fixed at {self.value!r}; '
                "omit it."
            )
        return self.value

    def to_unit(self, value: Scalar) -> float:
        """Return 0.5, whatever the value."""
        return 0.5

    def from_unit(self, u: float) -> Scalar:
        """Return the value, whatever `u`."""
        return self.value
