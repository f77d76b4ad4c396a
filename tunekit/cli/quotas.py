"""Reads limits from the words of a command line."""

from __future__ import annotations

import math
from collections.abc import Iterable

from tunekit.errors import InvalidArgument

NONE = "none"
"""Takes a limit away."""


def limit(text: str, name: str) -> float | None:
    """Return a limit, whole where it can be; `None` for no limit.

    Raises:
        InvalidArgument: it is neither a number from 0 nor "none".
    """
    if text == NONE:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise InvalidArgument(
            f'{name} "{text}": expected a number from 0, or {NONE} for no limit.'
        )
    return int(number) if number.is_integer() else number


def limits_by_owner(words: Iterable[str], *, flag: str) -> dict[str, int | None]:
    """Return slots by owner, of words such as `ada=4`; `None` where a limit is taken away.

    Raises:
        InvalidArgument: one is written in another way.
    """
    found: dict[str, int | None] = {}
    for word in words:
        owner, _, number = word.rpartition("=")
        if not owner or not (number.isdecimal() or number == NONE):
            raise InvalidArgument(
                f'{flag} "{word}": expected OWNER=SLOTS, for example ada=4, or ada={NONE}.'
            )
        found[owner] = None if number == NONE else int(number)
    return found
