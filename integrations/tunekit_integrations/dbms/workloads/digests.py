"""Digests of results, to notice a configuration under which a query answers otherwise."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import groupby
from typing import Any

FLOAT_DIGITS = 6
"""Significant digits of a float that count: sums of floats differ with the order of the rows."""


def result_digest(
    rows: Iterable[Sequence[Any]], *, order: Sequence[int] = (), is_limited: bool = False
) -> str:
    """Return a digest of a result.

    Args:
        rows: of the result.
        order: positions of the columns that the query orders by; rows that are equal in all of
            them may come in any order, and without such columns all rows may.
        is_limited: whether the query has a LIMIT; which of the rows that tie for the last place
            it shows is open, so only their number and what they tie in counts.
    """
    texts = [tuple(_text(value) for value in row) for row in rows]
    groups = groupby(texts, key=lambda row: tuple(row[i] for i in order))
    ties = [(key, sorted(group)) for key, group in groups]
    if is_limited and ties:
        key, group = ties[-1]
        ties[-1] = (key, [key] * len(group))
    digest = hashlib.sha256()
    for _, group in ties:
        for row in group:
            digest.update(repr(row).encode())
    return digest.hexdigest()[:32]


def _text(value: Any) -> str:
    if value is None:
        return "\0"  # no text of PostgreSQL holds it
    if isinstance(value, float):
        return f"{value + 0.0:.{FLOAT_DIGITS}g}"  # adding turns -0.0 into 0.0
    if isinstance(value, Decimal):
        return str(value.normalize() + 0) if value.is_finite() else str(value)
    if isinstance(value, memoryview):
        return value.tobytes().hex()
    if isinstance(value, (list, tuple)):
        return repr([_text(item) for item in value])
    return f"{type(value).__name__} {value}" if isinstance(value, bool) else str(value)
