"""Checks the words of a space: names of parameters and values of choices."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from typing import Any

from tunekit.checks import several, shown
from tunekit.errors import InvalidSpace
from tunekit.spaces.domains import Scalar, plain

MAX_LISTED = 50
"""Maximum number of choices that an error lists."""


def checked_choice(value: object) -> Scalar:
    """Return a choice or constant as a plain scalar, or raise `InvalidSpace`."""
    try:
        choice = plain(value)
    except TypeError:
        raise InvalidSpace(
            f"the choice {shown(value)} is a {type(value).__name__}; choices are strings, "
            "numbers, bools or None. Map a name to the object in your objective."
        ) from None
    if isinstance(choice, float) and not math.isfinite(choice):
        raise InvalidSpace(
            f"the choice {shown(choice)} is not finite; use None or a string instead."
        )
    return choice


def checked_sequence(choices: object) -> list[object]:
    """Return choices as a list, or raise `InvalidSpace` if they have no order.

    One-dimensional arrays are accepted as well. A set is refused because its order, and thus the
    meaning of a seed, differs between processes; a text because it is a single choice.
    """
    if getattr(choices, "ndim", None) == 1 and hasattr(choices, "tolist"):
        return list(choices.tolist())
    if isinstance(choices, Sequence) and not isinstance(choices, str | bytes | bytearray):
        return list(choices)
    if isinstance(choices, Set):
        raise InvalidSpace(
            f"got the choices {shown(choices)}, a set, whose order differs between processes; "
            "give a "
            "list, for example sorted(...)."
        )
    raise InvalidSpace(f"got the choices {shown(choices)}, expected a list of them.")


def check_choices(choices: list[Scalar]) -> None:
    """Raise `InvalidSpace` without choices, or with two that a mapping cannot distinguish."""
    if not choices:
        raise InvalidSpace("Categorical: no choices; give at least one.")
    seen: dict[Scalar, Scalar] = {}
    for c in choices:
        if c in seen and type(c) is type(seen[c]):
            raise InvalidSpace(f"Categorical: the choice {shown(c)} appears twice.")
        if c in seen:  # True == 1 == 1.0
            raise InvalidSpace(
                f"Categorical: the choices {seen[c]!r} and {shown(c)} are equal in Python; keep "
                "one "
                "or use strings."
            )
        seen[c] = c


def check_labels(groups: Sequence[tuple[Scalar, ...]]) -> None:
    """Raise `InvalidSpace` if a choice with a child space has a dot in its name."""
    for group in groups:
        if any("." in str(v) for v in group):
            raise InvalidSpace(
                f'Categorical: the choice {shown(group[0])} has a child space and a "." in its '
                "name, which would break dotted paths; rename it."
            )


def places_of(choices: Sequence[Scalar]) -> dict[tuple[bool, Scalar], int]:
    """Return the position of each choice, keeping True and 1 apart although they are equal."""
    return {(isinstance(c, bool), c): i for i, c in enumerate(choices)}


def place_of(value: object, places: Mapping[tuple[bool, Any], int]) -> int:
    """Return the position of a choice in `places`, -1 if it is not among them."""
    try:
        return places.get((isinstance(value, bool), value), -1)
    except TypeError:  # unhashable, so not a choice
        return -1


def listed(choices: Sequence[Scalar]) -> str:
    """Return choices as text for an error, abbreviated if there are many."""
    if len(choices) <= MAX_LISTED:
        return str(list(choices))
    return f"{list(choices[:MAX_LISTED])} and {len(choices) - MAX_LISTED} more"


def checked_name(name: object) -> str:
    """Return the name of a parameter, or raise `InvalidSpace`.

    It may contain dots, like names from other tools, because paths are never split at dots.
    """
    if not isinstance(name, str) or not name.isprintable() or name != name.strip():
        raise InvalidSpace(f"the parameter name {shown(name)} must be a printable string.")
    if not all(name.split(".")):
        raise InvalidSpace(f'the parameter name {shown(name)} is empty before or after a ".".')
    return name


def checked_values(parent: str, values: object) -> tuple[Scalar, ...]:
    """Return the distinct values of a condition on a parent, in a stable order."""
    group = [checked_choice(v) for v in several(values, is_one=isinstance(values, str))]
    if isinstance(values, set | frozenset):  # has no order of its own that lasts
        group.sort(key=lambda v: (type(v).__name__, str(v)))
    group = list(dict.fromkeys(group))
    if not group:
        raise InvalidSpace(f'When("{parent}"): no values; give at least one.')
    return tuple(group)
