"""The rungs of a wind tunnel: their sizes, and how values relate to those of the first rung."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from tunekit.checks import is_number, shown
from tunekit.errors import InvalidArgument
from tunekit.scaling.transfer_rules import M
from tunekit.spaces import Scalar

KEY = "wind_tunnel"
"""Attribute of a study that makes it a rung of a wind tunnel."""


@dataclass(frozen=True, slots=True)
class Rung:
    """One size of the ladder.

    Attributes:
        index: from 0, the smallest.
        sizes: size -> value, such as width, N and D; the objective finds them in its params.
        m: the multiplier, relative to the first rung.
        factors: path -> what its given rule multiplies values of the first rung by.
    """

    index: int
    sizes: Mapping[str, float]
    m: float
    factors: Mapping[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {
            "index": self.index,
            "sizes": dict(self.sizes),
            "m": self.m,
            "factors": dict(self.factors),
        }


def rung_of(attrs: Mapping[str, Any]) -> Rung | None:
    """Return the index of a study's rung, `None` if the study is not part of a tunnel."""
    found = attrs.get(KEY)
    if not isinstance(found, Mapping) or "rung" not in found:
        return None
    return Rung(**found["rung"])


def base_value(rung: Rung | None, path: str, value: Scalar) -> Scalar:
    """Return a value in units of the first rung."""
    factor = 1.0 if rung is None else rung.factors.get(path, 1.0)
    if factor == 1.0 or not isinstance(value, int | float) or isinstance(value, bool):
        return value
    return float(f"{value / factor:.9g}")


def ladder(
    given: Sequence[Mapping[str, object]], multiplier: str | None, *, needs_m: bool
) -> tuple[Rung, ...]:
    """Return the rungs of a ladder, from small to large.

    Args:
        given: the sizes of each rung.
        multiplier: the size that `m` is the ratio of; by default the only one.
        needs_m: whether a rule uses `m`.

    Raises:
        InvalidArgument: fewer than two rungs, sizes that differ by name, are no positive numbers
            or do not grow, or `m` is needed and ambiguous.
    """
    rows = list(given) if isinstance(given, Sequence) and not isinstance(given, str) else []
    if len(rows) < 2 or not all(isinstance(row, Mapping) and row for row in rows):
        raise InvalidArgument(
            f"rungs={shown(given)}, expected two or more mappings of size to value, such as "
            '[{"width": 64}, {"width": 128}].'
        )
    sizes = [_checked(row, i, list(rows[0])) for i, row in enumerate(rows)]
    names = list(sizes[0])
    if multiplier is not None and multiplier not in names:
        raise InvalidArgument(
            f"multiplier={shown(multiplier)}, expected one of the sizes of the rungs: {names}."
        )
    if multiplier is None and needs_m and len(names) > 1:
        raise InvalidArgument(
            f"a transfer rule uses m, and the rungs have the sizes {names}: say which one m is "
            f'the ratio of, such as multiplier="{names[0]}".'
        )
    chosen = multiplier or names[0]
    found = [Rung(i, row, row[chosen] / sizes[0][chosen]) for i, row in enumerate(sizes)]
    for a, b in pairwise(found):
        if any(b.sizes[n] < a.sizes[n] for n in names) or dict(a.sizes) == dict(b.sizes):
            raise InvalidArgument(
                f"rungs: rung {b.index} {dict(b.sizes)} does not grow from rung {a.index} "
                f"{dict(a.sizes)}; list them from small to large."
            )
    return tuple(found)


def _checked(row: Mapping[str, object], index: int, names: Sequence[str]) -> dict[str, float]:
    if set(row) != set(names) or not all(isinstance(name, str) for name in row):
        raise InvalidArgument(
            f"rungs: rung {index} has the sizes {sorted(map(str, row))}, the first one has "
            f"{sorted(map(str, names))}; give every rung the same ones."
        )
    if M in row:
        raise InvalidArgument(
            f'rungs: "{M}" is the ratio to the first rung and follows from the sizes; rename it.'
        )
    for name, value in row.items():
        if not is_number(value) or not 0.0 < value < math.inf:
            raise InvalidArgument(
                f'rungs: rung {index}: "{name}" is {shown(value)}, expected a number above 0.'
            )
    return {name: row[name] for name in names}  # type: ignore[misc]
