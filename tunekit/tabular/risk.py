"""Assesses the risk of an untried proposal: how far it goes beyond the data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Label: TypeAlias = Literal["low", "medium", "high"]

RARE = 0.9
"""A proposal is remote if more than this share of the rows lies closer to others."""

SURE, UNSURE = 0.25, 0.5
"""Standard deviations of a prediction, relative to the recorded losses', above which it is
doubtful, and above which it is a guess."""

OUTSIDE = 0.05
"""Distance outside the recorded range, as a share of the parameter's range, of a high risk."""


@dataclass(frozen=True, slots=True)
class Risk:
    """The numbers behind a risk label.

    Attributes:
        distance: mean distance to the nearest rows.
        rarity: share of the rows that lie closer to others.
        uncertainty: standard deviation of the prediction, relative to that of the recorded
            losses.
        outside: path -> distance of the value outside the recorded range, as a share of the
            parameter's range.
    """

    distance: float
    rarity: float
    uncertainty: float
    outside: dict[str, float]

    @property
    def label(self) -> Label:
        """Return the risk in one word.

        An unsure model or a value far outside the records is a high risk, and so is a remote
        point with a doubtful prediction. A remote point, a doubtful prediction or a value
        slightly outside alone is a medium risk.
        """
        far = max(self.outside.values(), default=0.0)
        is_remote, is_doubtful = self.rarity > RARE, self.uncertainty > SURE
        if self.uncertainty > UNSURE or far > OUTSIDE or (is_remote and is_doubtful):
            return "high"
        return "medium" if is_remote or is_doubtful or far > 0.0 else "low"


def outside(x: Floats, rows: Floats) -> Floats:
    """Return `(m, d)` distances of `(m, d)` points outside the range of `(n, d)` rows, by column.

    Both are encoded. A column that is inactive in all rows gives 0 for an inactive and 1 for an
    active value.
    """
    known = ~np.all(np.isnan(rows), axis=0)
    low, high = np.ones(rows.shape[1]), np.zeros(rows.shape[1])
    low[known] = np.nanmin(rows[:, known], axis=0)
    high[known] = np.nanmax(rows[:, known], axis=0)
    beyond = np.maximum(np.maximum(low - x, x - high), 0.0)
    beyond[:, ~known] = 1.0
    beyond[np.isnan(x)] = 0.0
    return np.asarray(beyond)
