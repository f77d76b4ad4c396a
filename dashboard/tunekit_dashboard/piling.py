"""Counts how many of the good trials lie at the ends of each range."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from tunekit.analysis.charts.records import Axis, PointsChart
from tunekit_dashboard.texts import numbers

EDGE = 0.1
"""Share of a range that counts as its end."""
PRESSED = 0.4
"""Share of the good trials at one end from which on the range seems too narrow there."""
MIN_GOOD = 8
"""Good trials below which nothing is said."""


@dataclass(frozen=True, slots=True)
class Piling:
    """Where the good trials of a parameter lie.

    Attributes:
        n: good trials in which it is active.
        low, high: share of them in the lowest and the highest tenth of its range.
    """

    path: str
    n: int
    low: float
    high: float

    @property
    def is_pressed(self) -> bool:
        """Return whether many good trials lie at one end, and few at the other."""
        return self.n >= MIN_GOOD and max(self.low, self.high) >= PRESSED

    @property
    def sentence(self) -> str:
        """Return what that means."""
        end, share = ("lower", self.low) if self.low >= self.high else ("upper", self.high)
        return (
            f"{share:.0%} of the {numbers(self.n, 'good trial')} with {self.path} lie at its "
            f"{end} end; a wider range may hold better ones."
        )


def pilings(chart: PointsChart) -> Iterator[Piling]:
    """Yield the numeric parameters of a chart with the places of their good trials."""
    good = set(chart.good)
    rows = [k for k, number in enumerate(chart.numbers) if number in good]
    for axis, column in zip(chart.axes, chart.columns, strict=True):
        if axis.low is None or axis.high is None or axis.high <= axis.low:
            continue
        units = [_unit(axis, v) for k in rows if (v := column[k]) is not None]
        n = len(units)
        yield Piling(
            axis.path, n,
            sum(u <= EDGE for u in units) / n if n else 0.0,
            sum(u >= 1 - EDGE for u in units) / n if n else 0.0,
        )  # fmt: skip


def _unit(axis: Axis, value: float) -> float:
    low, high = axis.low or 0.0, axis.high or 0.0
    if axis.is_log and low > 0 and value > 0:
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)
