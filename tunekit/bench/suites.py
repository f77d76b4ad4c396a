"""Resolves suites by name and imports each only on first use."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from inspect import signature
from typing import Any

from tunekit.bench.problem import Problem
from tunekit.checks import is_whole
from tunekit.errors import InvalidArgument, did_you_mean

SUITES: dict[str, str] = {
    "trees": "tunekit.bench.trees.suite",
    "bbob": "tunekit.bench.bbob",
    "flat": "tunekit.bench.flat",
    "taskset": "tunekit.bench.taskset",
    "yahpo": "tunekit.bench.yahpo",
    "cash": "tunekit.bench.cash",
    "classifiers": "tunekit.bench.classifiers",
    "boosters": "tunekit.bench.boosters",
    "networks": "tunekit.bench.networks",
    "fronts": "tunekit.bench.fronts",
    "constrained": "tunekit.bench.constrained",
    "replay": "tunekit.bench.replay",
    "gym": "tunekit.bench.gym",
}
"""Name -> module whose function `suite` returns the problems."""

OWN = "tunekit.bench.own"


def suite(name: str, seed: int = 0, **options: Any) -> list[Problem]:
    """Return the problems of a built-in suite or of your own.

    Args:
        name: one of `SUITES`, `gym:<environment id>`, an entry point of the group
            `tunekit.problems`, or `module:function`.
        seed: seed for shifts, permutations, optima and instances; 0 or more.
        options: keyword arguments of the suite.

    Raises:
        InvalidArgument: an unknown suite, a negative seed, or unknown options.
        MissingExtra: a package required by the suite is not installed.
    """
    if not is_whole(seed) or seed < 0:
        raise InvalidArgument(f"seed={seed!r}, expected a whole number of 0 or more.")
    family, colon, rest = name.partition(":")
    if family == "gym" and colon:
        name, options = family, {"env": rest, **options}
    own = import_module(OWN)
    if name in SUITES:
        make: Callable[..., list[Problem]] = import_module(SUITES[name]).suite
    elif ":" in name or name in own.names():
        make, options = own.problems, {"source": name, **options}
    else:
        known = [*SUITES, *own.names()]
        raise InvalidArgument(
            f'unknown suite "{name}"{did_you_mean(name, known)}; expected {", ".join(known)}, '
            "or your own as module:function."
        )
    _check_options(name, make, options)
    return make(seed=seed, **options)


def _check_options(name: str, make: Callable[..., Any], options: dict[str, Any]) -> None:
    known = [option for option in signature(make).parameters if option != "seed"]
    for option in options:
        if option not in known:
            raise InvalidArgument(
                f'suite "{name}": no option "{option}"{did_you_mean(option, known)}; '
                + (f"expected {', '.join(known)}." if known else "the suite takes no options.")
            )
