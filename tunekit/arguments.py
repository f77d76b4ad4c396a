"""Checks of what a caller gave to `Study.optimize`, before anything is started."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tunekit.errors import InvalidArgument, did_you_mean
from tunekit.executors.base import Executor, Limits


def count(value: int | None, name: str) -> int | None:
    """Return a number of trials, or `None`.

    Raises:
        InvalidArgument: it is negative or no whole number.
    """
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
        return value
    raise InvalidArgument(f"{name}={value!r}, expected a whole number from 0, or None.")


def seconds(value: float | str | None) -> float | None:
    """Return seconds for a number or a text such as "90s", "15m", "2h", "1d".

    Raises:
        InvalidArgument: another form, or a negative number.
    """
    units = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
    number: object = value
    factor = 1.0
    if isinstance(value, str):
        text = value.strip()
        factor = units.get(text[-1:], 1.0)
        try:
            number = float(text[:-1] if text[-1:] in units else text)
        except ValueError:
            number = None
            value = value or "''"
    if value is None:
        return None
    if isinstance(number, bool) or not isinstance(number, int | float) or not number >= 0:
        raise InvalidArgument(f'timeout={value!r}, expected seconds or a text like "90s" or "2h".')
    return number * factor if math.isfinite(number) else None


def make_executor(
    executor: str | Executor | None,
    workers: int,
    limits: Limits,
    devices: Sequence[str | int] | None,
) -> Executor:
    """Return the executor of that name, or the simplest one that keeps the limits.

    Raises:
        InvalidArgument: an unknown name, or limits that it cannot keep.
    """
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
        raise InvalidArgument(f"workers={workers!r}, expected a whole number from 1.")
    if executor is not None and not isinstance(executor, str):
        return executor
    needs_process = workers > 1 or limits != Limits() or devices is not None
    kind = executor or ("process" if needs_process else "inline")
    if kind == "process":
        from tunekit.executors.process import ProcessExecutor

        return ProcessExecutor(workers, limits=limits, devices=devices)
    if kind == "inline":
        from tunekit.executors.inline import InlineExecutor

        if workers > 1:
            raise InvalidArgument(
                f"the inline executor runs one trial at a time, not {workers}; "
                'use executor="process".'
            )
        return InlineExecutor(limits)
    raise InvalidArgument(
        f'unknown executor "{kind}"{did_you_mean(kind, ["inline", "process"])}; there are inline '
        "and process, and any object of the Executor contract."
    )
