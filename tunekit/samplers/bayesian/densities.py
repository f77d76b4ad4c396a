"""Prior densities over the unit coordinate of one parameter, relative to a uniform draw.

Each is mixed with a uniform floor, so that every value keeps a positive density.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from tunekit.spaces import Float, Int
from tunekit.spaces.domains import SPECIAL_SHARE, log_ratio

FLOOR = 0.1
"""Uniform share of a density."""

NARROW, WIDE = 1e-6, 1e3
"""Limits of a bell's standard deviation, in widths of its range, that keep both ends accurate."""


class PriorDensity(Protocol):
    """The density of a parameter's coordinate, relative to a uniform draw."""

    def log_and_slope(
        self, u: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return `(m,)` log densities at coordinates in `[0, 1]`, and `(m,)` derivatives."""
        ...

    def draw(self, rng: np.random.Generator) -> float:
        """Return a random place."""
        ...


@dataclass(frozen=True)
class Cells:
    """A density on cells of equal width, each with its probability.

    Attributes:
        shares: `(k,)` probabilities before the floor, summing to 1.
    """

    shares: NDArray[np.float64]

    @classmethod
    def of(cls, weights: Sequence[float]) -> Cells:
        """Return the density whose cells have these weights, of which one is above 0."""
        shares = np.asarray(weights, dtype=np.float64)
        return cls(shares / shares.sum())

    def log_and_slope(
        self, u: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return `(m,)` log densities of the coordinates' cells, and zero slopes."""
        n = len(self.shares)
        density = FLOOR + (1.0 - FLOOR) * n * self.shares
        cell = np.minimum((u * n).astype(np.int64), n - 1)
        return np.log(density)[cell], np.zeros(len(u))

    def draw(self, rng: np.random.Generator) -> float:
        """Return the middle of a random cell."""
        n = len(self.shares)
        chances = FLOOR / n + (1.0 - FLOOR) * self.shares
        return float((rng.choice(n, p=chances / chances.sum()) + 0.5) / n)


@dataclass(frozen=True, slots=True)
class Bell:
    """A normal density of the value, or of its logarithm, truncated to the range.

    Special values keep the share that they have in a uniform draw.

    Attributes:
        start, width: coordinates 0 and 1 of the range lie at `start` and `start + width` on the
            domain's scale.
        on_log: whether the domain's scale is logarithmic.
        is_log: whether the normal describes the logarithm of the value.
        share: share of the unit interval that special values take.
    """

    start: float
    width: float
    on_log: bool
    middle: float
    sd: float
    is_log: bool
    share: float

    @classmethod
    def over(cls, domain: Float | Int, middle: float, sd: float, *, is_log: bool) -> Bell:
        """Return the bell over a domain with more than one value."""
        start, width = _scale(domain)
        share = SPECIAL_SHARE if domain.special else 0.0
        step = float(domain.step or (1.0 if isinstance(domain, Int) else 0.0))
        if is_log:
            span, cell, middle = log_ratio(domain.hi, domain.lo), step / middle, math.log(middle)
        else:
            span, cell = domain.hi - domain.lo, step
        # At least half a step: a narrower bell between two grid values would vanish on both.
        sd = min(max(sd, NARROW * span, cell / 2), WIDE * span)
        return cls(start, width, domain.log, middle, sd, is_log, share)

    def log_and_slope(
        self, u: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return `(m,)` log densities of the coordinates, and `(m,)` derivatives."""
        inner = np.maximum(u - self.share, 0.0) / (1.0 - self.share)
        log_bell, slope = self._log_bell(inner)
        log = np.logaddexp(math.log(FLOOR), math.log(1.0 - FLOOR) + log_bell)
        share_of_bell = np.exp(math.log(1.0 - FLOOR) + log_bell - log)
        slope = share_of_bell * slope / (1.0 - self.share)
        special = u < self.share
        return np.where(special, 0.0, log), np.where(special, 0.0, slope)

    def _log_bell(
        self, inner: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return `(m,)` log densities and slopes of the truncated normal at `(m,)` coordinates."""
        t, log_rate, rate_slope = self._value(inner)
        z = (t - self.middle) / self.sd
        low, high = self._ends()
        scale = math.log(self.sd) + math.log(ndtr(high) - ndtr(low)) + 0.5 * math.log(2 * math.pi)
        slope = -z * np.exp(log_rate) / self.sd + rate_slope
        return -0.5 * z * z + log_rate - scale, slope

    def _value(
        self, inner: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return the normal's variable `t`, `log dt/du`, and its derivative, `(m,)` each."""
        s = self.start + self.width * inner
        log_width = math.log(self.width)
        if self.is_log == self.on_log:
            return s, np.full(len(s), log_width), np.zeros(len(s))
        if self.on_log:
            return np.exp(s), log_width + s, np.full(len(s), self.width)
        s = np.maximum(s, 1e-300)  # the cell of the lowest value may reach below 0
        return np.log(s), log_width - np.log(s), -self.width / s

    def _ends(self) -> tuple[float, float]:
        t, _, _ = self._value(np.array([0.0, 1.0]))
        low, high = (t - self.middle) / self.sd
        return float(low), float(high)

    def draw(self, rng: np.random.Generator) -> float:
        """Return a random place."""
        which, u = rng.random(2)
        if which < self.share:
            return float(self.share * u)
        low, high = self._ends()
        inner = rng.random()
        if inner >= FLOOR:  # inverse transform sampling
            z = ndtri(ndtr(low) + u * (ndtr(high) - ndtr(low)))
            inner = self._place(self.middle + self.sd * float(z))
        else:
            inner = u
        return float(self.share + (1.0 - self.share) * min(max(inner, 0.0), 1.0))

    def _place(self, t: float) -> float:
        if self.is_log != self.on_log:
            t = math.exp(t) if self.is_log else math.log(max(t, 1e-300))
        return (t - self.start) / self.width


def _scale(domain: Float | Int) -> tuple[float, float]:
    """Return the start and width of the range on its (log) scale, including half cells."""
    if domain.log:
        half = 0.5 if isinstance(domain, Int) else 0.0
        lo, hi = domain.lo - half, domain.hi + half
        return math.log(lo), log_ratio(hi, lo)
    if isinstance(domain, Float) and domain.step is None:
        return domain.lo, domain.hi - domain.lo
    if isinstance(domain, Int):
        first, step, n = domain.grid()
        return first - 0.5 * step, float(step * n)
    width = domain.step or 1.0
    return domain.lo - 0.5 * width, width * domain.n_cells()
