"""Flattens a tree into the union of its parameters, for optimisers without conditions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from tunekit.errors import InvalidSpace
from tunekit.samplers.grid import n_steps
from tunekit.spaces import (
    Categorical,
    Constant,
    Float,
    Int,
    Parameter,
    Params,
    Scalar,
    Space,
    walk,
)

SPECIAL = "#special"
"""Suffix of a path, for the choice between a parameter's special values and its range."""


@dataclass(frozen=True, slots=True)
class Dim:
    """One number proposed by an optimiser.

    Attributes:
        name: path of the parameter, with `SPECIAL` appended for its special values.
        kind: `"choice"` is an unordered position from `lo` = 0 to `hi`.
        lo, hi: bounds, both inclusive; never equal.
        log: whether the scale is logarithmic.
        default: value at the parameter's default.
    """

    name: str
    kind: Literal["float", "int", "choice"]
    lo: float
    hi: float
    log: bool
    default: float


class Union:
    """Places all parameters of a space side by side; values of inactive ones are ignored.

    Attributes:
        dims: dims of all parameters; a parameter with a single value has none.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        self.dims = tuple(dim for p in space for dim in _dims(p))
        self._names = {dim.name for dim in self.dims}

    def point(self, values: Mapping[str, float]) -> Params:
        """Decode a point from values that cover at least its active dims."""
        return walk(self.space, lambda p, _: self._decoded(p, values))

    def values(self, params: Mapping[str, Scalar]) -> dict[str, float]:
        """Encode a point as one value per dim; inactive parameters get their default."""
        found = {dim.name: dim.default for dim in self.dims}
        for path, value in params.items():
            encoded = encode(self.space.by_path[path], value)
            found.update({k: v for k, v in encoded.items() if k in self._names})
        return found

    def _decoded(self, p: Parameter, values: Mapping[str, float]) -> Scalar:
        domain = p.domain
        special = getattr(domain, "special", ())
        if special and round(values[p.path + SPECIAL]) < len(special):
            chosen: Scalar = special[round(values[p.path + SPECIAL])]
            return chosen
        if p.path not in self._names:
            return domain.lo if isinstance(domain, Float | Int) else domain.default_value()
        value = values[p.path]
        if isinstance(domain, Categorical):
            return domain.choices[round(value)]
        assert isinstance(domain, Float | Int)
        if domain.step is not None:
            value = domain.lo + round(value) * domain.step
        value = min(max(value, domain.lo), domain.hi)
        return domain.validate(round(value) if isinstance(domain, Int) else value, p.path)


def encode(p: Parameter, value: Scalar) -> dict[str, float]:
    """Encode a value of a parameter as values of its dims."""
    domain = p.domain
    if isinstance(domain, Categorical):
        return {p.path: domain.index(value)}
    if not isinstance(domain, Float | Int):
        return {}
    assert isinstance(value, int | float)
    found: dict[str, float] = {}
    if domain.special:
        in_range = value not in domain.special
        found[p.path + SPECIAL] = len(domain.special) if in_range else domain.special.index(value)
        if not in_range:
            return found
    step = domain.step
    return {**found, p.path: value if step is None else round((value - domain.lo) / step)}


def _dims(p: Parameter) -> list[Dim]:
    domain = p.domain
    if isinstance(domain, Constant):
        return []
    default = encode(p, domain.default_value())
    if isinstance(domain, Categorical):
        kind: Literal["int", "choice"] = "int" if domain.ordered else "choice"
        last = len(domain.choices) - 1
        return [Dim(p.path, kind, 0, last, False, default[p.path])] if last else []
    if not isinstance(domain, Float | Int):
        raise InvalidSpace(
            f'parameter "{p.path}" is a {type(domain).__name__}; peers support Float, Int and '
            "Categorical: change the parameter or leave out the peer."
        )
    found = []
    if domain.special:
        n = len(domain.special)
        name = p.path + SPECIAL
        found.append(Dim(name, "choice", 0, n, False, default[name]))
    if domain.lo < domain.hi:
        lo, hi, log = domain.lo, domain.hi, domain.log
        if domain.step is not None:
            lo, hi, log = 0, n_steps(domain) - 1, False
        is_float = isinstance(domain, Float) and domain.step is None
        middle = default.get(p.path, lo)
        if hi > lo:
            found.append(Dim(p.path, "float" if is_float else "int", lo, hi, log, middle))
    return found


class Worst:
    """Replaces the missing loss of a failed trial by the largest loss so far."""

    def __init__(self) -> None:
        self._largest: float | None = None

    def or_loss(self, loss: float | None) -> float:
        """Return the loss, or the largest so far (0 before the first)."""
        if loss is None:
            return 0.0 if self._largest is None else self._largest
        self._largest = loss if self._largest is None else max(self._largest, loss)
        return loss
