"""Leaf domains: the values that one parameter can take, and their place in the unit interval.

Every domain maps a value to `[0, 1]` and back (`to_unit`, `from_unit`). The way back is exact:
`from_unit(to_unit(v)) == v`. Floats reach this by a resolution of 12 significant digits (of the
range where linear, of the value where logarithmic): `validate` and `from_unit` round to it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from tunekit.errors import InvalidParams, InvalidSpace

Scalar: TypeAlias = str | int | float | bool | None

DIGITS = 12
SPECIAL_SHARE = 0.2
"""Share of the unit interval (and so of a uniform sample) that all special values have together."""


class Domain(Protocol):
    """The values of one parameter."""

    @property
    def size(self) -> float:
        """Return how many different values there are; `inf` for a continuous range."""
        ...

    def default_value(self) -> Scalar:
        """Return the declared default, or else the middle of a range or the first choice."""
        ...

    def validate(self, value: object, path: str) -> Scalar:
        """Return `value` in its canonical form, or raise `InvalidParams` naming `path`."""
        ...

    def to_unit(self, value: Any) -> float:
        """Return the place in `[0, 1]` of a valid value."""
        ...

    def from_unit(self, u: float) -> Scalar:
        """Return the value at place `u` in `[0, 1]`; uniform `u` give the domain's prior."""
        ...


def plain(value: object) -> Scalar:
    """Return a builtin scalar for a builtin or NumPy scalar; raise `TypeError` for the rest."""
    if value is None or type(value) in (str, int, float, bool):
        return value  # type: ignore[return-value]
    item = getattr(value, "item", None)
    if item is not None and getattr(value, "shape", None) == ():
        value = item()
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise TypeError(f"{value!r} is a {type(value).__name__}")


def number(value: object, path: str) -> float | int:
    """Return a finite number or raise `InvalidParams`."""
    try:
        got = plain(value)
    except TypeError:
        got = None
    if isinstance(got, bool) or not isinstance(got, int | float) or not math.isfinite(got):
        raise InvalidParams(f'parameter "{path}": got {value!r}, expected a finite number.')
    return got


@dataclass(frozen=True, slots=True)
class _Numeric:
    """What `Float` and `Int` share: bounds, scale, grid, default and special values."""

    lo: float
    hi: float
    log: bool = field(default=False, kw_only=True)
    step: float | None = field(default=None, kw_only=True)
    default: float | None = field(default=None, kw_only=True)
    special: tuple[float, ...] = field(default=(), kw_only=True)

    def _check(self) -> None:
        kind = type(self).__name__
        for name in ("lo", "hi", "step", "default"):
            v = getattr(self, name)
            if v is None and name in ("step", "default"):
                continue
            self._set(name, self._typed(v, name))
        shape = f"{kind}({self.lo!r}, {self.hi!r})"
        if not self.lo <= self.hi:
            raise InvalidSpace(f"{shape}: the lower bound is above the upper; swap them.")
        if self.log and self.lo <= 0:
            raise InvalidSpace(f"{shape}: log=True needs a lower bound above 0.")
        if self.step is not None and self.step <= 0:
            raise InvalidSpace(f"{shape}: step={self.step!r}, expected a number above 0.")
        if self.log and self.step is not None:
            raise InvalidSpace(f"{shape}: log=True and step= exclude each other; drop one.")
        if isinstance(self.special, int | float) and not isinstance(self.special, bool):
            self._set("special", (self.special,))
        special = tuple(self._typed(v, "special") for v in self.special)
        if len(set(special)) != len(special):
            raise InvalidSpace(f"{shape}: special={self.special!r} names a value twice.")
        self._set("special", special)
        if self.default is not None:
            try:
                self._set("default", self.validate(self.default, "default"))
            except InvalidParams as error:
                raise InvalidSpace(f"{shape}: {error.message}") from None

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _typed(self, value: object, name: str) -> float:
        try:
            return number(value, name)
        except InvalidParams:
            raise InvalidSpace(
                f"{type(self).__name__}: {name}={value!r}, expected a finite number."
            ) from None

    def validate(self, value: object, path: str) -> Any:
        raise NotImplementedError

    def _inner(self) -> float:
        """Return the share of the unit interval that the range itself has."""
        return 1.0 - SPECIAL_SHARE if self.special else 1.0

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
            f'parameter "{path}": got {value!r}, expected a value in '
            f"[{self.lo!r}, {self.hi!r}]{grid}{special}."
        )


@dataclass(frozen=True, slots=True)
class Float(_Numeric):
    """A real number in `[lo, hi]`, on a log scale or a grid of `step` if asked.

    `special` values (a knob's `-1` for "off") belong to the domain too, inside or outside the
    range; together they take a fifth of a uniform sample.

    Raises:
        InvalidSpace: bounds, step, default or special values contradict each other.
    """

    _digits: int = field(default=0, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Decimal places that give 12 significant digits of the larger of range and bounds.
        for name in ("lo", "hi"):
            self._set(name, float(self._typed(getattr(self, name), name)))
        scale = max(self.hi - self.lo, abs(self.lo) * 1e-3, abs(self.hi) * 1e-3, 1e-300)
        self._set("_digits", DIGITS - math.ceil(math.log10(scale)))
        self._check()
        self._set("special", tuple(float(v) for v in self.special))

    @property
    def size(self) -> float:
        """Return how many different values there are."""
        if self.lo == self.hi:
            return 1 + len(self.special)
        return math.inf if self.step is None else self._cells() + len(self.special)

    def _cells(self) -> int:
        assert self.step is not None
        return int(math.floor((self.hi - self.lo) / self.step * (1 + 1e-12) + 1e-9)) + 1

    def _rounded(self, value: float) -> float:
        if self.log:
            return min(max(float(f"{value:.{DIGITS}g}"), self.lo), self.hi)
        return min(max(round(value, self._digits), self.lo), self.hi)

    def _at(self, k: int) -> float:
        assert self.step is not None
        return self._rounded(self.lo + k * self.step)

    def default_value(self) -> float:
        """Return the declared default, or else the middle of the (log) range."""
        if self.default is not None:
            return self.default
        return self.from_unit(1.0 - self._inner() / 2)

    def validate(self, value: object, path: str) -> float:
        """Return `value` as a float at the domain's resolution, or raise `InvalidParams`."""
        got = float(number(value, path))
        if got in self.special:
            return got
        if not self.lo <= got <= self.hi:
            raise self._outside(value, path)
        if self.step is None:
            return self._rounded(got)
        near = self._at(min(round((got - self.lo) / self.step), self._cells() - 1))
        if not math.isclose(near, got, rel_tol=1e-9, abs_tol=1e-9 * self.step):
            raise self._outside(value, path)
        return near

    def to_unit(self, value: float) -> float:
        """Return the place in `[0, 1]` of a valid value."""
        if self.special and value in self.special:
            return self._special_to_unit(value)
        if self.lo == self.hi:
            inner = 0.5
        elif self.step is not None:
            inner = (round((value - self.lo) / self.step) + 0.5) / self._cells()
        elif self.log:
            inner = math.log(value / self.lo) / math.log(self.hi / self.lo)
        else:
            inner = (value - self.lo) / (self.hi - self.lo)
        return 1.0 - self._inner() * (1.0 - min(max(inner, 0.0), 1.0))

    def from_unit(self, u: float) -> float:
        """Return the value at place `u`; uniform `u` give a (log-)uniform value."""
        if self.special:
            if u < SPECIAL_SHARE:
                return self._special_from_unit(u)
            u = (u - SPECIAL_SHARE) / (1.0 - SPECIAL_SHARE)
        if self.step is not None:
            n = self._cells()
            return self._at(min(int(u * n), n - 1))
        if self.log:
            return self._rounded(self.lo * math.exp(u * math.log(self.hi / self.lo)))
        return self._rounded(self.lo + u * (self.hi - self.lo))


@dataclass(frozen=True, slots=True)
class Int(_Numeric):
    """An integer in `[lo, hi]` (both inclusive), on a log scale or in steps if asked.

    Raises:
        InvalidSpace: bounds, step, default or special values contradict each other.
    """

    def __post_init__(self) -> None:
        self._check()
        if self.log and self.lo < 1:
            raise InvalidSpace(f"Int({self.lo}, {self.hi}): log=True needs a lower bound of 1.")

    def _typed(self, value: object, name: str) -> int:
        got = _Numeric._typed(self, value, name)
        if got != int(got):
            raise InvalidSpace(f"Int: {name}={value!r}, expected a whole number.")
        return int(got)

    def _grid(self) -> tuple[int, int, int]:
        """Return (first value, step, number of values) of the range as integers."""
        lo, step = int(self.lo), int(self.step or 1)
        return lo, step, (int(self.hi) - lo) // step + 1

    @property
    def size(self) -> float:
        """Return how many different values there are."""
        lo, step, n = self._grid()
        return n + sum(not (v in range(lo, int(self.hi) + 1, step)) for v in self.special)

    def default_value(self) -> int:
        """Return the declared default, or else the middle of the (log) range."""
        if self.default is not None:
            return int(self.default)
        return self.from_unit(1.0 - self._inner() / 2)

    def validate(self, value: object, path: str) -> int:
        """Return `value` as an int, or raise `InvalidParams`."""
        got = number(value, path)
        if got != int(got):
            raise InvalidParams(f'parameter "{path}": got {value!r}, expected a whole number.')
        got = int(got)
        lo, step, n = self._grid()
        if got not in self.special and got not in range(lo, lo + n * step, step):
            raise self._outside(value, path)
        return got

    def to_unit(self, value: float) -> float:
        """Return the place in `[0, 1]` of a valid value: the middle of its cell."""
        if self.special and value in self.special:
            return self._special_to_unit(value)
        lo, step, n = self._grid()
        if self.log:  # cells of value +- 1/2 on the log scale
            inner = math.log(value / (lo - 0.5)) / math.log((self.hi + 0.5) / (lo - 0.5))
        else:
            inner = ((value - lo) / step + 0.5) / n
        return 1.0 - self._inner() * (1.0 - inner)

    def from_unit(self, u: float) -> int:
        """Return the value at place `u`; uniform `u` give a (log-)uniform integer."""
        if self.special:
            if u < SPECIAL_SHARE:
                return int(self._special_from_unit(u))
            u = (u - SPECIAL_SHARE) / (1.0 - SPECIAL_SHARE)
        lo, step, n = self._grid()
        if self.log:
            value = (lo - 0.5) * math.exp(u * math.log((self.hi + 0.5) / (lo - 0.5)))
            return min(max(round(value), lo), int(self.hi))
        return lo + step * min(int(u * n), n - 1)


@dataclass(frozen=True, slots=True)
class Constant:
    """One fixed value, carried along in every point."""

    value: Scalar

    @property
    def size(self) -> float:
        """Return 1."""
        return 1

    def default_value(self) -> Scalar:
        """Return the value."""
        return self.value

    def validate(self, value: object, path: str) -> Scalar:
        """Return the value, or raise `InvalidParams` if another was given."""
        if value != self.value:
            raise InvalidParams(f'parameter "{path}": got {value!r}, it is fixed at {self.value!r}.')
        return self.value

    def to_unit(self, value: Scalar) -> float:
        """Return 0.5, whatever the value."""
        return 0.5

    def from_unit(self, u: float) -> Scalar:
        """Return the value, whatever `u`."""
        return self.value
