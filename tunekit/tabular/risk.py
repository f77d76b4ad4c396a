"""The risk of a proposal that nobody has tried: how far it goes beyond what the data say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Label: TypeAlias = Literal["low", "medium", "high"]

RARE = 0.9
"""Share of the rows that lie closer to others than a proposal in a remote place."""

SURE, UNSURE = 0.25, 0.5
"""Standard deviations of a prediction, in those of the recorded losses, from which it is in
doubt and from which it is a guess."""

OUTSIDE = 0.05
"""How far outside the recorded range, in shares of the parameter's range, is a high risk."""


@dataclass(frozen=True, slots=True)
class Risk:
    """The numbers behind a label.

    Attributes:
        distance: mean distance to the nearest rows.
        rarity: share of the rows that lie closer to others than that.
        uncertainty: standard deviation of the prediction over that of the recorded losses.
        outside: path -> how far the value lies outside what was recorded for the parameter, in
            shares of the parameter's range.
    """

    distance: float
    rarity: float
    uncertainty: float
    outside: dict[str, float]

    @property
    def label(self) -> Label:
        """Return the risk in one word.

        A model that is unsure, or a value far outside what was recorded, is a high risk; so is
        a remote place of which the model is not quite sure. One of these doubts alone, or a
        little outside, is a medium one.
        """
        far = max(self.outside.values(), default=0.0)
        is_remote, is_doubtful = self.rarity > RARE, self.uncertainty > SURE
        if self.uncertainty > UNSURE or far > OUTSIDE or (is_remote and is_doubtful):
            return "high"
        return "medium" if is_remote or is_doubtful or far > 0.0 else "low"


def outside(x: Floats, rows: Floats) -> Floats:
    """Return `(m, d)` by how much points lie outside the range of the rows, column by column.

    Both are encoded; a column that no row has active counts as 0 where a point is inactive,
    and as 1 where it is active.
    """
    known = ~np.all(np.isnan(rows), axis=0)
    low, high = np.ones(rows.shape[1]), np.zeros(rows.shape[1])
    low[known] = np.nanmin(rows[:, known], axis=0)
    high[known] = np.nanmax(rows[:, known], axis=0)
    beyond = np.maximum(np.maximum(low - x, x - high), 0.0)
    beyond[:, ~known] = 1.0
    beyond[np.isnan(x)] = 0.0
    return np.asarray(beyond)
