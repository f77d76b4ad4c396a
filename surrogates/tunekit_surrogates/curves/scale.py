"""A scale on which losses of any size can be compared: ranks in the middle, logarithms outside."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]

LOG_SHARE = 0.1
"""Weight of the logarithm beside the share of smaller values; it alone counts outside."""

N_KNOTS = 201
MAX_LOG = 200.0
"""Keeps the way back finite."""


@dataclass(frozen=True, slots=True)
class Scale:
    """A strictly growing map of values: the share of known values below, plus a logarithm.

    Many runs end near one value (that of chance, say), a few far below, and a few at 1e30. The
    share spreads the crowd, and the two-sided logarithm goes on beyond the values seen.

    Attributes:
        knots: `(k,)` two-sided logarithms `sign(y - centre) log(1 + |y - centre| / unit)` at which
            the map is tabulated, ascending; it is linear in the logarithm between them.
        shares: `(k,)` of the known values up to each knot.
        centre, unit: of the logarithm.
        low: the mapped value below which models have seen nothing; see `within`.
        high: the mapped value above which a run has exploded; see `clipped`.
    """

    knots: Floats
    shares: Floats
    centre: float
    unit: float
    low: float
    high: float

    @classmethod
    def fit(cls, values: Floats, finals: Floats) -> Scale:
        """Return the scale for known `values` of any shape and the `(n,)` final ones.

        Raises:
            ValueError: no final value is finite.
        """
        ends = finals[np.isfinite(finals)]
        if not len(ends):
            raise ValueError("no final value is finite, expected one or more.")
        known = np.sort(np.concatenate([values[np.isfinite(values)], ends]))
        centre = float(np.median(ends))
        distances = np.abs(ends - centre)
        # Of few distances one quarter may be nothing; then any difference is the unit.
        unit = float(np.quantile(distances, 0.25)) or float(distances.max()) or abs(centre) or 1.0
        values_at = np.unique(np.quantile(known, np.linspace(0.0, 1.0, N_KNOTS)))
        shares = np.searchsorted(known, values_at, side="right") / len(known)
        bare = cls(np.empty(0), shares, centre, max(unit, 1e-300), 0.0, 0.0)
        raw = replace(bare, knots=bare._log(values_at))
        mapped = raw.to(ends)
        high = float(np.quantile(mapped, 0.97)) + 0.5 * LOG_SHARE
        return replace(raw, low=float(mapped.min()) - LOG_SHARE, high=high)

    def reaching(self, mapped: Floats) -> Scale:
        """Return the scale with room at its upper end for mapped values, outliers excepted."""
        high = float(np.quantile(mapped, 0.9)) + 0.5 * LOG_SHARE
        return replace(self, high=max(self.high, high))

    def to(self, values: Floats) -> Floats:
        """Return mapped values; NaN stays."""
        logs = self._log(values)
        return np.interp(logs, self.knots, self.shares) + LOG_SHARE * logs

    def back(self, mapped: Floats) -> Floats:
        """Return the values of mapped ones."""
        ends = self.shares + LOG_SHARE * self.knots
        inside = np.interp(mapped, ends, self.knots)
        below = (mapped - self.shares[0]) / LOG_SHARE
        above = (mapped - self.shares[-1]) / LOG_SHARE
        logs = np.where(mapped < ends[0], below, np.where(mapped > ends[-1], above, inside))
        sizes = np.expm1(np.minimum(np.abs(logs), MAX_LOG))
        return self.centre + np.sign(logs) * self.unit * sizes

    def _log(self, values: Floats) -> Floats:
        away = values - self.centre
        return np.sign(away) * np.log1p(np.abs(away) / self.unit)

    def clipped(self, mapped: Floats) -> Floats:
        """Return mapped values with what has exploded at the upper end, where NaN is as well.

        The lower end is open: a run that is better than all known ones stays better.
        """
        return np.minimum(np.where(np.isnan(mapped), self.high, mapped), self.high)

    def within(self, mapped: Floats) -> Floats:
        """Return clipped values inside the range that the known runs cover: what models see."""
        return np.maximum(self.clipped(mapped), self.low)
