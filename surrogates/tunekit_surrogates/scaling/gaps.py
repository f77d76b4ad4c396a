"""What a choice of learning rate and batch size costs on a cell whose runs are known."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import LinearNDInterpolator, NearestNDInterpolator
from scipy.spatial import QhullError

from tunekit_surrogates.scaling.runs import Runs


class CellSurface:
    """The losses of one cell, interpolated linearly over ln lr and ln bs.

    Positions outside the runs count as the nearest position on their border.

    Attributes:
        best: the smallest loss of the cell.
    """

    def __init__(self, cell: Runs) -> None:
        """Interpolate the finite losses of the cell's runs."""
        finite = cell.where(~cell.diverged)
        self.best = float(finite.loss.min())
        self._x = np.log(np.column_stack([finite.lr, finite.bs]))
        self._nearest = NearestNDInterpolator(self._x, finite.loss, rescale=True)
        try:
            self._linear = LinearNDInterpolator(self._x, finite.loss, rescale=True)
        except (QhullError, ValueError):
            self._linear = None

    def gap(self, lr: float, bs: float) -> float:
        """Return the relative loss excess at a position over the best run."""
        x = np.clip(np.log([[lr, bs]]), self._x.min(axis=0), self._x.max(axis=0))
        value = np.nan if self._linear is None else float(self._linear(x)[0])
        if not np.isfinite(value):
            value = float(self._nearest(x)[0])
        return value / self.best - 1.0
