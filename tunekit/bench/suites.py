"""The built-in suites by name; nothing is imported before it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from inspect import signature
from typing import Any

from tunekit.bench.problem import Problem
from tunekit.errors import InvalidArgument, did_you_mean

SUITES: dict[str, str] = {
    "trees": "tunekit.bench.trees.suite",
    "bbob": "tunekit.bench.bbob",
    "yahpo": "tunekit.bench.yahpo",
}
"""Name -> the module whose function `suite` gives its problems."""


def suite(name: str, seed: int = 0, **options: Any) -> list[Problem]:
    """Return the problems of a suite.

    Args:
        name: one of `SUITES`.
        seed: draws shifts, permutations, optima and instances anew where the suite has them.
        options: keyword arguments of that suite.

    Raises:
        InvalidArgument: no such suite, a seed below 0, or options that the suite does not take.
        MissingExtra: the suite needs a package that is not installed.
    """
    if name not in SUITES:
        raise InvalidArgument(
            f'unknown suite "{name}"{did_you_mean(name, SUITES)}; there are {", ".join(SUITES)}.'
        )
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise InvalidArgument(f"seed={seed!r}, expected a whole number from 0 upwards.")
    make: Callable[..., list[Problem]] = import_module(SUITES[name]).suite
    _check_options(name, make, options)
    return make(seed, **options)


def _check_options(name: str, make: Callable[..., Any], options: dict[str, Any]) -> None:
    known = [option for option in signature(make).parameters if option != "seed"]
    for option in options:
        if option not in known:
            raise InvalidArgument(
                f'suite "{name}": no option "{option}"{did_you_mean(option, known)}; '
                + (f"there are {', '.join(known)}." if known else "it has none.")
            )
