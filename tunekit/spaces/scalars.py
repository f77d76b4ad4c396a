"""Scalars, the possible values of a parameter."""

from __future__ import annotations

from numbers import Real
from typing import TypeAlias

from tunekit.checks import is_number, shown
from tunekit.errors import InvalidParams

Scalar: TypeAlias = str | int | float | bool | None

MAX_ABS = 1e300
"""Largest number in a range, so that the width of a range is finite as well."""


def plain(value: object) -> Scalar:
    """Return a builtin scalar for a builtin or NumPy scalar; raise `TypeError` for the rest."""
    if value is None or type(value) in (str, int, float, bool):
        return value  # type: ignore[return-value]
    try:
        return _unwrapped(value)
    except TypeError:
        raise
    except Exception as error:  # whatever the class of the value raises
        raise TypeError(f"{shown(value)} cannot be read: {type(error).__name__}") from None


def _unwrapped(value: object) -> Scalar:
    item = getattr(value, "item", None)
    if item is not None and getattr(value, "shape", None) == ():
        value = item()
        if isinstance(value, Real) and not isinstance(value, int | float):
            value = float(value)  # of a long double NumPy gives the same again
    if value is None or isinstance(value, bool):
        return value
    for kind in (str, int, float):  # members of a StrEnum or IntEnum become plain too
        if isinstance(value, kind):
            return kind.__str__(value) if kind is str else kind(value)
    raise TypeError(f"{shown(value)} is a {type(value).__name__}")


def number(value: object, path: str) -> float | int:
    """Return a finite number or raise `InvalidParams`."""
    try:
        got = plain(value)
    except TypeError:
        got = None
    if not is_number(got) or not -MAX_ABS <= got <= MAX_ABS:
        raise InvalidParams(
            f'parameter "{path}": got {shown(value)}, expected a finite number up to {MAX_ABS:g}.'
        )
    return got


def typed(*values: Scalar) -> tuple[tuple[str, Scalar], ...]:
    """Return the values with their types, so that True, 1 and 1.0 compare as different."""
    return tuple((type(v).__name__, v) for v in values)
