"""Converts encoded rows to features without NaN, for models without inactive parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tunekit.spaces.encode import Encoder

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

MAX_VALUES = 64
"""Maximum number of features of an unordered choice; further values share them."""


class Features:
    """Maps encoded rows to `(n, f)` features.

    A number becomes its unit coordinate, 0 if inactive; a choice becomes one feature per value.
    A number that may be inactive has an additional feature for being active. Two different
    values of a choice have distance 1, like the ends of a range.

    Attributes:
        numbers: columns that are numeric or ordered and therefore have slopes.
        sources: the feature that holds each of these.
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
        """Return the `(n, f)` features of `(n, d)` rows, which are NaN where inactive."""
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
        """Return `(n, d)` column slopes, 0 for choices and NaN where `like`, `(n, d)`, is NaN."""
        out = np.zeros_like(like)
        out[:, self.numbers] = of_features[:, self.sources]
        out[np.isnan(like)] = np.nan
        return out
