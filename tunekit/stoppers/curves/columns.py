"""Encodes parameters of trials as numeric columns, without the space.

A stopper sees trials but no space. Numbers are encoded by their ranks among the known trials, so
that the scale of a range (linear or logarithmic) does not matter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunekit.checks import is_number
from tunekit.spaces import Scalar

ABSENT = -0.5
"""Code of a missing parameter; present values lie in [0, 1]."""

MAX_CHOICES = 8
"""Maximum number of values of a non-numeric parameter with their own columns."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Columns derived from the params of trials.

    Attributes:
        numbers: path -> float64[k], the sorted distinct values seen.
        choices: path -> the values seen, in order of first appearance.
    """

    numbers: Mapping[str, NDArray[np.float64]]
    choices: Mapping[str, tuple[Scalar, ...]]

    @classmethod
    def of(cls, points: Sequence[Mapping[str, Scalar]]) -> Columns:
        """Return columns for every parameter that takes more than one value in the points."""
        seen: dict[str, list[Scalar]] = {}
        for point in points:
            for path, value in point.items():
                seen.setdefault(path, []).append(value)
        numbers: dict[str, NDArray[np.float64]] = {}
        choices: dict[str, tuple[Scalar, ...]] = {}
        for path, values in sorted(seen.items()):
            kinds = dict.fromkeys((type(v), v) for v in values)
            if len(kinds) < 2 and len(values) == len(points):
                continue
            if all(_is_number(v) for v in values):
                numbers[path] = np.unique(np.array(values, np.float64))
            else:
                choices[path] = tuple(v for _, v in list(kinds)[:MAX_CHOICES])
        return cls(numbers, choices)

    def encode(self, points: Sequence[Mapping[str, Scalar]]) -> NDArray[np.float64]:
        """Return `(n, d)` rows: ranks in [0, 1], 0 or 1 for choices, `ABSENT` if missing."""
        columns = []
        for path, known in self.numbers.items():
            given = [point.get(path) for point in points]
            present = np.array([_is_number(v) for v in given])
            values = np.array([v if _is_number(v) else 0.0 for v in given], np.float64)
            ranks = np.interp(values, known, np.linspace(0.0, 1.0, len(known)))
            columns.append(np.where(present, ranks, ABSENT))
        for path, choices in self.choices.items():
            for choice in choices:
                columns.append(
                    np.array(
                        [
                            float(p[path] == choice and type(p[path]) is type(choice))
                            if path in p
                            else ABSENT
                            for p in points
                        ]
                    )
                )
        return np.column_stack(columns) if columns else np.zeros((len(points), 0))


def _is_number(value: object) -> bool:
    return is_number(value)
