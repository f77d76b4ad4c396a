"""Counts how many of the good trials lie at the ends of each range, without a judgement."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from tunekit.analysis.charts.records import ParameterAxis, PointsChart

EDGE = 0.1
"""Share of a range that counts as its end."""


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


def _unit(axis: ParameterAxis, value: float) -> float:
    low, high = axis.low or 0.0, axis.high or 0.0
    if axis.is_log and low > 0 and value > 0:
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)
