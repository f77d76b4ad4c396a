"""Encoded rows without gaps, for models and distances that know no inactive parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tunekit.spaces.encode import Encoder

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

MAX_VALUES = 64
"""Values up to which an unordered choice has a feature for each of them."""


class Features:
    """Maps encoded rows to `(n, f)` features.

    A number is its place, 0 where it is inactive; a choice is one feature for each value, and
    a parameter that may be inactive has one that says whether it is active. Two different
    values of a choice are at distance 1, as are the ends of a range.

    Attributes:
        numbers: the columns that are numbers or ordered, which a slope can be taken in.
        sources: for each of these the feature that holds it.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._columns = encoder.columns
        self.numbers: list[int] = []
        self.sources: list[int] = []
        self._starts: list[int] = []
        start = 0
        for j, column in enumerate(self._columns):
            self._starts.append(start)
            if column.kind == "categorical":
                start += int(min(column.size, MAX_VALUES))
                continue
            self.numbers.append(j)
            self.sources.append(start)
            start += 1 + bool(column.conditions)
        self.size = start

    def of(self, x: Floats) -> Floats:
        """Return the features of `(n, d)` rows, NaN where inactive."""
        out = np.zeros((len(x), self.size))
        for j, (column, start) in enumerate(zip(self._columns, self._starts, strict=True)):
            active = ~np.isnan(x[:, j])
            place = x[active, j]
            if column.kind == "categorical":
                value = np.minimum((place * column.size).astype(int), int(column.size) - 1)
                out[active, start + value % MAX_VALUES] = np.sqrt(0.5)
            else:
                out[active, start] = place
                if column.conditions:
                    out[active, start + 1] = np.sqrt(0.5)
        return out

    def slope(self, of_features: Floats, like: Floats) -> Floats:
        """Return `(n, d)` slopes in the columns, 0 for choices and NaN where `like` has it."""
        out = np.zeros_like(like)
        out[:, self.numbers] = of_features[:, self.sources]
        out[np.isnan(like)] = np.nan
        return out
