"""Writes points in words that a language model can choose from: ranges in place of numbers.

A number is one of ten equal parts of its range, on its own scale, such as "30-40%"; special values
and choices stand for themselves. A part is read back as its middle.

Reference: Huang et al., 2024, "LLMTune", which codes knobs so. Its decoding forgets the lower
bound of a knob, and its instruction one of the ten parts; here one codec does both ways.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunekit.checks import shown
from tunekit.errors import InvalidParams
from tunekit.spaces import Categorical, Constant, Float, Int, Params, Scalar, Space
from tunekit.spaces.feasible import Feasible
from tunekit.spaces.parameters import Parameter

N_BUCKETS = 10
LABELS = tuple(f"{10 * i}-{10 * (i + 1)}%" for i in range(N_BUCKETS))
"""The parts of a range, from low to high."""

N_DRAWN = 300
"""Points drawn within the parts, to find one that keeps the constraints."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A point read from buckets.

    Attributes:
        params: valid.
        moved: paths of numbers that the constraints forced out of their bucket.
        filled: paths of active parameters that were left out and have their defaults.
    """

    params: Params
    moved: tuple[str, ...] = ()
    filled: tuple[str, ...] = ()


class BucketCodec:
    """Writes points of a space as path -> bucket, and reads them.

    Args:
        space: of the points.
    """

    def __init__(self, space: Space) -> None:
        self.space = space

    def encode(self, params: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """Return the buckets of a valid point, without constants."""
        return {
            p.path: bucket_of(p, params[p.path])
            for p in self.space
            if p.path in params and not isinstance(p.domain, Constant)
        }

    def decode(self, buckets: Mapping[str, object]) -> Decoded:
        """Return a valid point of the buckets: their middles, unless constraints forbid them.

        Raises:
            InvalidParams: a bucket is not one of its parameter, or no point is feasible.
            UnknownParameter: the space has no such parameter.
        """
        given = {self.space.resolve(name): value for name, value in buckets.items()}
        point: dict[str, Scalar] = {}
        for p in self.space:
            if p.is_active(point):
                point[p.path] = _middle(p, given.pop(p.path)) if p.path in given else _default(p)
        if given:
            raise InvalidParams(
                f'parameter "{next(iter(given))}" is not active with the other values; leave it '
                "out."
            )
        named = {self.space.resolve(name) for name in buckets}
        free = (p for p in point if not isinstance(self._domain(p), Constant))
        filled = tuple(p for p in free if p not in named)
        if not self.space.violated(point):
            return Decoded(self.space.validate(point), (), filled)
        found = self._feasible(point)
        wanted = self.encode(point)
        moved = tuple(path for path, b in self.encode(found).items() if wanted[path] != b)
        return Decoded(found, moved, filled)

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of a point in buckets."""
        return {
            "type": "object",
            "properties": {
                p.path: {"enum": choices_of(p)}
                for p in self.space
                if not isinstance(p.domain, Constant)
            },
            "additionalProperties": False,
        }

    def _domain(self, path: str) -> object:
        return self.space.by_path[path].domain

    def _feasible(self, point: Mapping[str, Scalar]) -> Params:
        """Return a point that keeps the constraints, in the same buckets where one is found."""
        wanted = self.encode(point)
        rng = np.random.default_rng(0)  # reading the same text twice gives the same point
        for _ in range(N_DRAWN):
            drawn = {
                path: _within(self.space.by_path[path], value, rng.random())
                for path, value in point.items()
            }
            if not self.space.violated(drawn) and self.encode(drawn) == wanted:
                return self.space.validate(drawn)
        fixed = {k: v for k, v in point.items() if isinstance(self._domain(k), Categorical)}
        found = Feasible(self.space, rng, fixed).near(point)
        if found is None:
            broken = "; ".join(self.space.violated(point))
            raise InvalidParams(f"no point near these values satisfies {broken}.")
        return found


def bucket_of(parameter: Parameter, value: Scalar) -> Scalar:
    """Return the bucket of a value: a label of a range, or a special value or choice itself."""
    domain = parameter.domain
    if not isinstance(domain, Float | Int) or value in domain.special or _is_listed(parameter):
        return value
    assert isinstance(value, int | float)
    return LABELS[min(int(_place(domain, value) * N_BUCKETS), N_BUCKETS - 1)]


def choices_of(parameter: Parameter) -> list[Scalar]:
    """Return the buckets of a parameter, special values last."""
    domain = parameter.domain
    if isinstance(domain, Categorical):
        return list(domain.choices)
    assert isinstance(domain, Float | Int)
    if _is_listed(parameter):
        return list(dict.fromkeys([*_values(domain), *domain.special]))
    return [*LABELS, *domain.special]


def _is_listed(parameter: Parameter) -> bool:
    """Return whether a number has few enough values to need no buckets."""
    domain = parameter.domain
    assert isinstance(domain, Float | Int)
    return _n_values(domain) <= N_BUCKETS


def _values(domain: Float | Int) -> list[Scalar]:
    step = domain.step or 1
    n = int(_n_values(domain))
    return [domain.validate(domain.lo + i * step, "value") for i in range(n)]


def _n_values(domain: Float | Int) -> float:
    """Return how many values the range has, special ones within it included."""
    if domain.lo == domain.hi:
        return 1
    step = domain.step or (1 if isinstance(domain, Int) else 0)
    return math.floor((domain.hi - domain.lo) / step * (1 + 1e-9)) + 1 if step else math.inf


def _place(domain: Float | Int, value: float) -> float:
    """Return where a value lies in its range, from 0 to 1."""
    lo, hi = float(domain.lo), float(domain.hi)
    if domain.log:
        lo, hi, value = math.log(lo), math.log(hi), math.log(value)
    return 0.0 if hi == lo else min(max((value - lo) / (hi - lo), 0.0), 1.0)


def _at(domain: Float | Int, place: float) -> Scalar:
    """Return the value of a domain nearest to a place in its range."""
    lo, hi = float(domain.lo), float(domain.hi)
    if domain.log:
        value = math.exp(math.log(lo) + place * (math.log(hi) - math.log(lo)))
    else:
        value = lo + place * (hi - lo)
    step = domain.step if domain.step is not None else 1 if isinstance(domain, Int) else None
    if step is not None:
        # In whole numbers for an Int: floats do not hold large ones.
        n = round((value - lo) / step)
        on_grid = domain.lo + n * step
        value = on_grid if on_grid <= domain.hi else on_grid - step
    value = min(max(value, domain.lo), domain.hi)
    return domain.validate(int(value) if isinstance(domain, Int) else value, "value")


def _middle(parameter: Parameter, given: object) -> Scalar:
    """Return the value in the middle of a bucket.

    Raises:
        InvalidParams: the parameter has no such bucket.
    """
    domain, path = parameter.domain, parameter.path
    if not isinstance(domain, Float | Int) or _is_listed(parameter):
        return domain.validate(given, path)
    if given in LABELS:
        i = LABELS.index(str(given))
        # The middle first; where the grid has no value there, others of the bucket.
        for share in (0.5, 0.25, 0.75, 0.05, 0.95, 0.0, 1.0):
            value = _at(domain, (i + share) / N_BUCKETS)
            if bucket_of(parameter, value) == given:
                return value
        return _at(domain, (i + 0.5) / N_BUCKETS)
    if not isinstance(given, bool) and given in domain.special:
        return domain.validate(given, path)
    special = f", or {', '.join(map(str, domain.special))}" if domain.special else ""
    raise InvalidParams(
        f'parameter "{path}": got {shown(given)}, expected one of {LABELS[0]}, {LABELS[1]}, ... '
        f"{LABELS[-1]}{special}."
    )


def _within(parameter: Parameter, value: Scalar, share: float) -> Scalar:
    """Return another value of the same bucket, at a share of it."""
    bucket = bucket_of(parameter, value)
    if bucket not in LABELS or not isinstance(parameter.domain, Float | Int):
        return value
    return _at(parameter.domain, (LABELS.index(str(bucket)) + share) / N_BUCKETS)


def _default(parameter: Parameter) -> Scalar:
    return parameter.domain.default_value()
