"""Leaf domains: the values of one parameter and their coordinates in the unit interval.

Every domain maps a value to `[0, 1]` and back (`to_unit`, `from_unit`). The round trip is exact:
`from_unit(to_unit(v)) == v`. Floats reach this by a resolution of 12 significant digits (of the
range where linear, of the value where logarithmic): `validate` and `from_unit` round to it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from tunekit.checks import several, shown
from tunekit.errors import InvalidParams, InvalidSpace
from tunekit.spaces.amounts import check_amount
from tunekit.spaces.scalars import MAX_ABS, Scalar, number, plain, typed

__all__ = ["Domain", "Float", "Int", "Opening", "Scalar", "number", "plain", "typed"]

Opening: TypeAlias = tuple[str, tuple[Scalar, ...], Any]
"""A branch that values of a node open: (label in paths, values, child space)."""

DIGITS = 12
SPECIAL_SHARE = 0.2
"""Share of the unit interval (and of a uniform sample) that all special values take together."""

# Limits within which a place in [0, 1], a float of 53 bits, leads back to exactly one value.
MAX_CELLS = 2**48
MAX_LOG_INT = 2**40
MAX_FLOAT_CELLS = 10**9


class Domain(Protocol):
    """The values of one parameter."""

    @property
    def size(self) -> float:
        """Return the number of different values; `inf` for a continuous range."""
        ...

    def default_value(self) -> Scalar:
        """Return the declared default, else the middle of a range or the first choice."""
        ...

    def validate(self, value: object, path: str) -> Scalar:
        """Return `value` in its canonical form, or raise `InvalidParams` naming `path`."""
        ...

    def to_unit(self, value: Any) -> float:
        """Return the unit coordinate of a valid value."""
        ...

    def from_unit(self, u: float) -> Scalar:
        """Return the value at coordinate `u` in `[0, 1]`; uniform `u` give the domain's prior."""
        ...


@dataclass(frozen=True, slots=True)
class Numeric:
    """The common part of `Float` and `Int`: bounds, scale, grid, default and special values.

    Attributes:
        fidelity: whether it sets how thoroughly a trial runs (epochs, a share of the data). Only
            results at its largest value count; smaller values are cheaper and predict them.
        scale: role of a scale axis ("N" for parameters, "D" for tokens, or another name) from
            which `tunekit.scaling` fits its laws. Otherwise the same as a fidelity, of which a
            space may have several this way.
    """

    lo: float
    hi: float
    log: bool = field(default=False, kw_only=True)
    step: float | None = field(default=None, kw_only=True)
    default: float | None = field(default=None, kw_only=True)
    special: tuple[float, ...] = field(default=(), kw_only=True)
    fidelity: bool = field(default=False, kw_only=True, repr=False)
    scale: str | None = field(default=None, kw_only=True, repr=False)

    @property
    def has_target(self) -> bool:
        """Return whether it is a fidelity or a scale axis, whose largest value counts."""
        return self.fidelity or self.scale is not None

    @property
    def domain(self) -> Domain:
        """Return itself, the domain of its parameter."""
        return self  # type: ignore[return-value]

    def openings(self) -> Iterable[Opening]:
        """Return nothing: no value of a number opens a child space on its own."""
        return ()

    def _check(self) -> None:
        for name in ("lo", "hi", "step", "default"):
            v = getattr(self, name)
            if v is not None or name in ("lo", "hi"):
                self._set(name, self._typed(v, name))
        shape = f"{type(self).__name__}({self.lo!r}, {self.hi!r})"
        if not isinstance(self.log, bool):
            raise InvalidSpace(f"{shape}: log={shown(self.log)}, expected True or False.")
        if not self.lo <= self.hi:
            raise InvalidSpace(f"{shape}: the lower bound is above the upper; swap them.")
        if self.log and self.lo <= 0:
            raise InvalidSpace(f"{shape}: log=True needs a lower bound above 0.")
        if self.step is not None and self.step <= 0:
            raise InvalidSpace(f"{shape}: step={self.step!r}, expected a number above 0.")
        if self.log and self.step is not None:
            raise InvalidSpace(f"{shape}: log=True and step= exclude each other; remove one.")
        self._check_special(shape)
        check_amount(self, shape)
        self._check_cells(shape)
        if self.default is not None:
            try:
                self._set("default", self.validate(self.default, "default"))
            except InvalidParams as error:
                raise InvalidSpace(f"{shape}: {error.message}") from None

    def _check_special(self, shape: str) -> None:
        given: Any = self.special
        given = several(given, is_one=isinstance(given, str))
        special = tuple(self._typed(v, "special") for v in given)
        if len(set(special)) != len(special):
            raise InvalidSpace(
                f"{shape}: special={shown(special)} contains a value twice; remove one."
            )
        self._set("special", special)

    def _check_cells(self, shape: str) -> None:
        raise NotImplementedError

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _typed(self, value: object, name: str) -> float:
        try:
            return number(value, name)
        except InvalidParams:
            raise InvalidSpace(
                f"{type(self).__name__}: {name}={shown(value)}, expected a finite number up to "
                f"{MAX_ABS:g}."
            ) from None

    def validate(self, value: object, path: str) -> Any:
        raise NotImplementedError

    def _outer(self, inner: float) -> float:
        """Return the unit coordinate of a range coordinate, which follows the special values."""
        return SPECIAL_SHARE + inner * (1.0 - SPECIAL_SHARE) if self.special else inner

    def _special_to_unit(self, value: float) -> float:
        n = len(self.special)
        return SPECIAL_SHARE * (self.special.index(value) + 0.5) / n

    def _special_from_unit(self, u: float) -> float:
        n = len(self.special)
        return self.special[min(int(u / SPECIAL_SHARE * n), n - 1)]

    def _outside(self, value: object, path: str) -> InvalidParams:
        special = f" or one of {list(self.special)}" if self.special else ""
        grid = f" in steps of {self.step!r}" if self.step is not None else ""
        return InvalidParams(
            f'parameter "{path}": got {shown(value)}, expected a value in '
            f"[{self.lo!r}, {self.hi!r}]{grid}{special}."
        )


def log_ratio(a: float, b: float) -> float:
    """Return log(a / b), even if the ratio overflows."""
    ratio = a / b
    return math.log(ratio) if ratio < MAX_ABS else math.log(a) - math.log(b)


@dataclass(frozen=True, slots=True)
class Float(Numeric):
    """A real number in `[lo, hi]`, optionally on a log scale or a grid of `step`.

    `special` values (a knob's `-1` for "off") belong to the domain too, inside or outside the
    range; together they take a fifth of a uniform sample.

    With `fidelity=True` it sets how thoroughly a trial runs, for example a share of the data: the
    largest value is its default and the one that counts, smaller ones are cheaper. `scale="N"`
    makes it one of several such axes, with the role it plays in a scaling law.

    Attributes:
        digits: decimal places (on a log scale: significant digits) that values are rounded to.

    Raises:
        InvalidSpace: bounds, step, default or special values contradict each other.
    """

    digits: int = field(default=0, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("lo", "hi"):
            self._set(name, float(self._typed(getattr(self, name), name)))
        if self.log is True and self.lo > 0:
            # One digit less for each factor of ten in decades: a place in [0, 1] has 53 bits.
            decades = math.log10(max(self.hi, self.lo)) - math.log10(self.lo)
            self._set("digits", DIGITS - math.ceil(max(0.0, math.log10(max(decades, 1) / 25))))
            self._check()
            self._set("special", tuple(float(v) for v in self.special))
            return
        # Decimal places that give 12 significant digits of the larger of range and bounds.
        scale = max(self.hi - self.lo, abs(self.lo) * 1e-3, abs(self.hi) * 1e-3, 1e-300)
        self._set("digits", DIGITS - math.ceil(math.log10(scale)))
        self._check()
        self._set("special", tuple(float(v) for v in self.special))

    @property
    def size(self) -> float:
        """Return how many different values there are."""
        if self.lo == self.hi:
            return 1 + len(self.special)
        if self.step is None:
            return math.inf
        inside = sum(self.lo <= v <= self.hi and self._on_grid(v) for v in self.special)
        return self.n_cells() + len(self.special) - inside

    def _on_grid(self, value: float) -> bool:
        near = self._at(min(round((value - self.lo) / (self.step or 1.0)), self.n_cells() - 1))
        return math.isclose(near, value, rel_tol=1e-9, abs_tol=1e-9 * (self.step or 1.0))

    def _check_cells(self, shape: str) -> None:
        if self.step is not None and (self.hi - self.lo) / self.step > MAX_FLOAT_CELLS:
            raise InvalidSpace(
                f"{shape}: step={self.step!r} gives more than {MAX_FLOAT_CELLS} values; increase "
                "or remove it."
            )
        if self.step is not None and self.step < 10.0 ** (1 - self.digits):
            raise InvalidSpace(
                f"{shape}: step={self.step!r} is too small for the bounds; increase or remove it."
            )

    def n_cells(self) -> int:
        """Return the number of values of the grid."""
        step = self.step or 1.0
        return math.floor((self.hi - self.lo) / step * (1 + 1e-12) + 1e-9) + 1

    def _rounded(self, value: float) -> float:
        if self.log:
            return min(max(float(f"{value:.{self.digits}g}"), self.lo), self.hi)
        return min(max(round(value, self.digits), self.lo), self.hi)

    def _at(self, k: int) -> float:
        return self._rounded(self.lo + k * (self.step or 1.0))

    def default_value(self) -> float:
        """Return the declared default, or else the middle of the (log) range.

        That of a fidelity or a scale axis is its largest value.
        """
        if self.default is not None:
            return self.default
        return self.from_unit(1.0 if self.has_target else self._outer(0.5))

    def validate(self, value: object, path: str) -> float:
        """Return `value` as a float at the domain's resolution, or raise `InvalidParams`."""
        got = float(number(value, path))
        if got in self.special:
            return got
        if not self.lo <= got <= self.hi:
            raise self._outside(value, path)
        if self.step is None:
            return self._rounded(got)
        if not self._on_grid(got):
            raise self._outside(value, path)
        return self._at(min(round((got - self.lo) / self.step), self.n_cells() - 1))

    def to_unit(self, value: float) -> float:
        """Return the place in `[0, 1]` of a valid value."""
        if self.special and value in self.special:
            return self._special_to_unit(value)
        if self.lo == self.hi:
            inner = 0.5
        elif self.step is not None:
            inner = (round((value - self.lo) / self.step) + 0.5) / self.n_cells()
        elif self.log:
            inner = log_ratio(value, self.lo) / log_ratio(self.hi, self.lo)
        else:
            inner = (value - self.lo) / (self.hi - self.lo)
        return self._outer(min(max(inner, 0.0), 1.0))

    def from_unit(self, u: float) -> float:
        """Return the value at coordinate `u`; uniform `u` give a (log-)uniform value."""
        if self.special:
            if u < SPECIAL_SHARE:
                return self._special_from_unit(u)
            u = (u - SPECIAL_SHARE) / (1.0 - SPECIAL_SHARE)
        if self.step is not None:
            n = self.n_cells()
            return self._at(min(int(u * n), n - 1))
        if u <= 0.0 or u >= 1.0:  # a bound may have more digits than the resolution
            return self._rounded(self.lo if u <= 0.0 else self.hi)
        if self.log:
            # In two halves: the ratio of the bounds may be larger than the largest float.
            root = math.exp(u * log_ratio(self.hi, self.lo) / 2)
            return self._rounded(self.lo * root * root)
        return self._rounded(self.lo + u * (self.hi - self.lo))


@dataclass(frozen=True, slots=True)
class Int(Numeric):
    """An integer in `[lo, hi]` (both inclusive), optionally on a log scale or in steps.

    With `fidelity=True` it sets how thoroughly a trial runs, for example the epochs; with
    `scale="N"` it is a scale axis; see `Float`.

    Raises:
        InvalidSpace: bounds, step, default or special values contradict each other.
    """

    def __post_init__(self) -> None:
        self._check()
        if self.log and self.lo < 1:
            raise InvalidSpace(f"Int({self.lo}, {self.hi}): log=True needs a lower bound of 1.")

    def _check_cells(self, shape: str) -> None:
        if (self.log and self.hi > MAX_LOG_INT) or self.grid()[2] > MAX_CELLS:
            raise InvalidSpace(
                f"{shape}: too many values to resolve in [0, 1]; use a step, a "
                f"tighter range (up to {MAX_LOG_INT if self.log else MAX_CELLS}) or Float."
            )

    def _typed(self, value: object, name: str) -> int:
        got = Numeric._typed(self, value, name)
        if got != int(got):
            raise InvalidSpace(f"Int: {name}={shown(value)}, expected a whole number.")
        return int(got)

    def grid(self) -> tuple[int, int, int]:
        """Return (first value, step, number of values) of the range as integers."""
        lo, step = int(self.lo), int(self.step or 1)
        return lo, step, (int(self.hi) - lo) // step + 1

    @property
    def size(self) -> float:
        """Return how many different values there are."""
        lo, step, n = self.grid()
        return n + sum(v not in range(lo, int(self.hi) + 1, step) for v in self.special)

    def default_value(self) -> int:
        """Return the declared default, or else the middle of the (log) range.

        That of a fidelity or a scale axis is its largest value.
        """
        if self.default is not None:
            return int(self.default)
        return self.from_unit(1.0 if self.has_target else self._outer(0.5))

    def validate(self, value: object, path: str) -> int:
        """Return `value` as an int, or raise `InvalidParams`."""
        got = number(value, path)
        if got != int(got):
            raise InvalidParams(
                f'parameter "{path}": got {shown(value)}, expected a whole number.'
            )
        got = int(got)
        lo, step, n = self.grid()
        if got not in self.special and got not in range(lo, lo + n * step, step):
            raise self._outside(value, path)
        return got

    def to_unit(self, value: float) -> float:
        """Return the unit coordinate of a valid value, the middle of its cell."""
        if self.special and value in self.special:
            return self._special_to_unit(value)
        lo, step, n = self.grid()
        if self.log:  # cells of value +- 1/2 on the log scale
            inner = math.log(value / (lo - 0.5)) / math.log((self.hi + 0.5) / (lo - 0.5))
        else:
            inner = ((value - lo) / step + 0.5) / n
        return self._outer(inner)

    def from_unit(self, u: float) -> int:
        """Return the value at coordinate `u`; uniform `u` give a (log-)uniform integer."""
        if self.special:
            if u < SPECIAL_SHARE:
                return int(self._special_from_unit(u))
            u = (u - SPECIAL_SHARE) / (1.0 - SPECIAL_SHARE)
        lo, step, n = self.grid()
        if self.log:
            value = (lo - 0.5) * math.exp(u * math.log((self.hi + 0.5) / (lo - 0.5)))
            return min(max(round(value), lo), int(self.hi))
        return lo + step * min(int(u * n), n - 1)
