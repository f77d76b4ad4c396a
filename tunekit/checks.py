"""Checks numbers, counts, shares, seconds and texts given by callers.

The functions `check_...` return nothing; the others return the converted value. Each error names
the argument, what was given, and what was expected.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from contextlib import suppress
from numbers import Real
from typing import Any, TypeGuard

from tunekit.errors import InvalidArgument

MAX_COUNT = 2**31 - 1
"""Largest integer that every storage can hold."""

MAX_NAME = 200
"""Maximum length of a name in a storage, in characters."""

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def shown(value: object, limit: int = 200) -> str:
    """Return the repr of any value for an error, cut to `limit` characters."""
    try:
        text = repr(value)
    except Exception:  # its class may raise anything
        return f"a {type(value).__name__} without a repr"
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def is_whole(value: object) -> TypeGuard[int]:
    """Tell whether a value is an `int`; `True` and `False` are not."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[int | float]:
    """Tell whether a value is an `int` or a `float`, maybe NaN; `True` and `False` are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def check_whole(
    value: object,
    name: str,
    *,
    low: int | None = None,
    high: int | None = None,
    optional: bool = False,
) -> None:
    """Check that a value is a whole number from `low` to `high`, or `None` where `optional`.

    Raises:
        InvalidArgument: it is not.
    """
    if value is None and optional:
        return
    if is_whole(value) and (low is None or value >= low) and (high is None or value <= high):
        return
    span = "" if low is None else f" from {low} to {high}" if high else f" of {low} or more"
    end = " or None" if optional and low is None else ", or None" if optional else ""
    raise InvalidArgument(f"{name}={shown(value)}, expected a whole number{span}{end}.")


def check_number(
    value: object,
    name: str,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    is_open: bool = False,
    optional: bool = False,
) -> None:
    """Check that a value is a finite number from `low` to `high`, or `None` where `optional`.

    With `is_open`, `low` itself is too low.

    Raises:
        InvalidArgument: it is not.
    """
    if value is None and optional:
        return
    if is_number(value) and low <= value <= high and not (is_open and value == low):
        if isinstance(value, int) or math.isfinite(value):
            return
    raise InvalidArgument(
        f"{name}={shown(value)}, expected a finite number{_span(low, high, is_open=is_open)}"
        f"{', or None' if optional else ''}."
    )


def _span(low: float, high: float, *, is_open: bool) -> str:
    if low == -math.inf:
        return ""
    if high == math.inf:
        return f" above {low:g}" if is_open else f" of {low:g} or more"
    return f" above {low:g} and at most {high:g}" if is_open else f" from {low:g} to {high:g}"


def check_flag(value: object, name: str, *, optional: bool = False) -> None:
    """Check that a value is `True` or `False`, or `None` where `optional`.

    Raises:
        InvalidArgument: it is not.
    """
    if not isinstance(value, bool) and not (value is None and optional):
        raise InvalidArgument(f"{name}={shown(value)}, expected True or False.")


def check_text(text: object, name: str) -> None:
    """Check that a name is a printable text of 1 to `MAX_NAME` characters.

    Raises:
        InvalidArgument: it is not; some databases could not store it.
    """
    expected = f"expected a text of 1 to {MAX_NAME} printable characters"
    if not isinstance(text, str) or not 0 < len(text) <= MAX_NAME:
        raise InvalidArgument(f"{name}: got {shown(text, 60)}, {expected}; choose another.")
    if not text.isprintable():
        raise InvalidArgument(
            f"{name}: {shown(text, 60)} holds control characters, {expected}; remove them."
        )


def count(value: int | None, name: str) -> int | None:
    """Return a number of trials, or `None`.

    Raises:
        InvalidArgument: it is not a whole number from 0 to `MAX_COUNT`.
    """
    check_whole(value, name, low=0, high=MAX_COUNT, optional=True)
    return value


def seconds(value: float | str | None) -> float | None:
    """Return seconds for a number or a text like "90s", "15m", "2h", "1d"; `None` for no limit.

    Raises:
        InvalidArgument: another form, or a negative number.
    """
    number: object = value
    factor = 1.0
    if isinstance(value, str):
        text = value.strip()
        factor = _UNITS.get(text[-1:], 1.0)
        try:
            number = float(text[:-1] if text[-1:] in _UNITS else text)
        except ValueError:
            number = None
            value = value or "''"
    if value is None:
        return None
    if not is_number(number) or not number >= 0:
        raise InvalidArgument(
            f'timeout={shown(value)}, expected seconds or a text like "90s" or "2h".'
        )
    return number * factor if math.isfinite(number) else None


def share(value: object, name: str) -> float | None:
    """Return a share in [0, 1], or `None`.

    Raises:
        InvalidArgument: it is anything else.
    """
    if value is None:
        return None
    number = _as_float(value)
    if 0 <= number <= 1:
        return number
    raise InvalidArgument(
        f"{name}={shown(value)}, expected a share from 0 to 1; for example 0.05."
    )


def above_zero(value: object, name: str) -> float:
    """Return a finite number above 0.

    Raises:
        InvalidArgument: it is anything else.
    """
    return _finite(value, name, "above 0; for example 1.5", fits=_as_float(value) > 0)


def from_zero(value: object, name: str) -> float:
    """Return a finite number from 0.

    Raises:
        InvalidArgument: it is anything else.
    """
    return _finite(value, name, "0 or more; for example 30", fits=_as_float(value) >= 0)


def _finite(value: object, name: str, expected: str, *, fits: bool) -> float:
    if fits and _as_float(value) < math.inf:
        return _as_float(value)
    raise InvalidArgument(f"{name}={shown(value)}, expected a finite number {expected}.")


def texts(value: object, name: str) -> tuple[str, ...]:
    """Return one or more texts as a tuple; `None` gives an empty one.

    Raises:
        InvalidArgument: a value is not a text.
    """
    if value is None:
        return ()
    found = several(value, is_one=isinstance(value, str))
    if all(isinstance(text, str) for text in found):
        return found
    raise InvalidArgument(f"{name}={shown(value)}, expected texts; give a list of texts.")


def several(value: Any, *, is_one: bool) -> tuple[Any, ...]:
    """Return the items of an iterable, or the value alone if it `is_one` or not iterable."""
    if is_one or not isinstance(value, Iterable):
        return (value,)
    try:
        return tuple(value)
    except Exception:  # a 0-d array, or any error of its class
        return (value,)


def _as_float(value: object) -> float:
    """Return a real number, NumPy's too, as a float; NaN for a boolean and all else."""
    if isinstance(value, Real) and not isinstance(value, bool):
        with suppress(Exception):  # an int beyond the range of floats, or what its class raises
            return float(value)
    return math.nan
