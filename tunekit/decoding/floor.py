"""The accuracy floor: a paired test of a point against the baseline on the same questions."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tunekit.decoding.measured import Measured
from tunekit.noise.paired_tests import mcnemar, spent

Z = 1.959964
"""Of a 95 % interval."""

EVEN = 0.5
"""Least p-value of a trial that keeps the floor: it loses at most one question more than it wins.

A smaller one would let the search choose points that are worse, but not provably.
"""


@dataclass(frozen=True, slots=True)
class Floor:
    """How much accuracy a point may lose against the baseline.

    Attributes:
        tolerance: share of the questions that it may lose for nothing.
        alpha: probability that a point as accurate as the floor is called worse for sure.
    """

    tolerance: float = 0.0
    alpha: float = 0.1

    def p_worse(self, measured: Measured, baseline: Measured) -> float:
        """Return the p-value that a point is worse than the floor, 1 without a difference.

        Of the questions that only one of both has answered, it counts who lost how many, after
        those that the tolerance forgives.
        """
        lost, won, n = discordant(measured, baseline)
        forgiven = math.floor(self.tolerance * n + 1e-9)
        return mcnemar(max(lost - forgiven, 0), won)

    def is_broken_at(self, look: int, measured: Measured, baseline: Measured) -> bool:
        """Return whether a point is worse for sure after batch number `look`, from 1.

        All looks of a trial together call a good point worse with probability alpha at most.
        """
        return self.p_worse(measured, baseline) < spent(self.alpha, look)


def discordant(measured: Measured, baseline: Measured) -> tuple[int, int, int]:
    """Return the questions lost and won against the baseline, and how many both were asked."""
    pairs = [(g, baseline.given[i]) for i, g in measured.given.items() if i in baseline.given]
    lost = sum(b.is_correct and not g.is_correct for g, b in pairs)
    won = sum(g.is_correct and not b.is_correct for g, b in pairs)
    return lost, won, len(pairs)


def gap_interval(measured: Measured, baseline: Measured) -> tuple[float, float, float]:
    """Return the gain in accuracy over the baseline with its 95 % interval.

    Reference: Agresti and Min, 2005, "Simple improved confidence intervals for comparing matched
    proportions": half an observation is added to each cell of the table of pairs.
    """
    lost, won, n = discordant(measured, baseline)
    if n == 0:
        return 0.0, -1.0, 1.0
    b, c, m = lost + 0.5, won + 0.5, n + 2.0
    centre = (c - b) / m
    half = Z * math.sqrt(max(b + c - (c - b) ** 2 / m, 0.0)) / m
    return (won - lost) / n, max(centre - half, -1.0), min(centre + half, 1.0)
