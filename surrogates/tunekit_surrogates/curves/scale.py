"""Maps losses of any size to a common scale: ranks in the middle, logarithms outside."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]

LOG_SHARE = 0.1
"""Weight of the logarithm added to the rank; outside the known values only it varies."""

N_KNOTS = 201
MAX_LOG = 200.0
"""Keeps the inverse map finite."""


@dataclass(frozen=True, slots=True)
class Scale:
    """A strictly increasing map: the share of known values below, plus a weighted logarithm.

    Many runs end near one value (chance level, say), a few far below, and a few at 1e30. The
    share spreads the crowd, and the two-sided logarithm continues beyond the known values.

    Attributes:
        knots: `(k,)` two-sided logarithms `sign(y - centre) log(1 + |y - centre| / unit)` at which
            the map is tabulated, ascending; it is linear in the logarithm between them.
        shares: `(k,)` shares of the known values up to each knot.
        centre, unit: centre and unit of the logarithm.
        low: mapped value below which models have no training data; see `within`.
        high: mapped value above which a run counts as exploded; see `clipped`.
    """

    knots: Floats
    shares: Floats
    centre: float
    unit: float
    low: float
    high: float

    @classmethod
    def fit(cls, values: Floats, finals: Floats) -> Scale:
        """Return the scale for `values` of any shape `(...)` and `(n,)` final values.

        Raises:
            ValueError: no final value is finite.
        """
        ends = finals[np.isfinite(finals)]
        if not len(ends):
            raise ValueError("no final value is finite, expected at least one.")
        known = np.sort(np.concatenate([values[np.isfinite(values)], ends]))
        centre = float(np.median(ends))
        distances = np.abs(ends - centre)
        # The quartile of few distances may be 0; fall back to the largest one.
        unit = float(np.quantile(distances, 0.25)) or float(distances.max()) or abs(centre) or 1.0
        values_at = np.unique(np.quantile(known, np.linspace(0.0, 1.0, N_KNOTS)))
        shares = np.searchsorted(known, values_at, side="right") / len(known)
        bare = cls(np.empty(0), shares, centre, max(unit, 1e-300), 0.0, 0.0)
        raw = replace(bare, knots=bare._log(values_at))
        mapped = raw.to(ends)
        high = float(np.quantile(mapped, 0.97)) + 0.5 * LOG_SHARE
        return replace(raw, low=float(mapped.min()) - LOG_SHARE, high=high)

    def reaching(self, mapped: Floats) -> Scale:
        """Return the scale, raised at its end to cover `(n,)` mapped values except outliers."""
        high = float(np.quantile(mapped, 0.9)) + 0.5 * LOG_SHARE
        return replace(self, high=max(self.high, high))

    def to(self, values: Floats) -> Floats:
        """Return the `(...)` values mapped to the scale; NaN stays NaN."""
        logs = self._log(values)
        return np.interp(logs, self.knots, self.shares) + LOG_SHARE * logs

    def back(self, mapped: Floats) -> Floats:
        """Return the `(...)` values that map to `mapped`."""
        ends = self.shares + LOG_SHARE * self.knots
        inside = np.interp(mapped, ends, self.knots)
        below = (mapped - self.shares[0]) / LOG_SHARE
        above = (mapped - self.shares[-1]) / LOG_SHARE
        logs = np.where(mapped < ends[0], below, np.where(mapped > ends[-1], above, inside))
        sizes = np.expm1(np.minimum(np.abs(logs), MAX_LOG))
        return self.centre + np.sign(logs) * self.unit * sizes

    def _log(self, values: Floats) -> Floats:
        """Return `(...)` two-sided logarithms of `(...)` values."""
        away = values - self.centre
        return np.sign(away) * np.log1p(np.abs(away) / self.unit)

    def clipped(self, mapped: Floats) -> Floats:
        """Return `(...)` mapped values with exploded ones and NaN set to the upper end.

        The lower end is open: a run better than all known ones stays better.
        """
        return np.minimum(np.where(np.isnan(mapped), self.high, mapped), self.high)

    def within(self, mapped: Floats) -> Floats:
        """Return `(...)` mapped values, clipped to the known runs' range, as model inputs."""
        return np.maximum(self.clipped(mapped), self.low)
