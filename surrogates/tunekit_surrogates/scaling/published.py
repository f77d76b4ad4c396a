"""The forms in which published laws come."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

LawOfScale = Callable[[float, float], float]
"""A quantity over N and D."""


@dataclass(frozen=True, slots=True)
class Monomial:
    """`coefficient * N ** n * D ** d`."""

    coefficient: float
    n: float = 0.0
    d: float = 0.0

    def __call__(self, n: float, d: float) -> float:
        """Return the value at N and D."""
        return float(self.coefficient * n**self.n * d**self.d)


@dataclass(frozen=True, slots=True)
class LogLine:
    """`intercept + slope * ln N`, as long as it is above 0."""

    intercept: float
    slope: float

    def __call__(self, n: float, d: float) -> float:
        """Return the value at N.

        Raises:
            ValueError: if the line is not above 0 at N.
        """
        value = self.intercept + self.slope * math.log(n)
        if value <= 0.0:
            raise ValueError(
                f"the law {self.intercept:g} {self.slope:+g} ln N gives {value:g} at N={n:g}; it"
                " is meant for smaller models."
            )
        return value


@dataclass(frozen=True, slots=True)
class SumOfPowers:
    """`e + a / N ** alpha + b / D ** beta`."""

    e: float
    a: float
    b: float
    alpha: float
    beta: float

    def __call__(self, n: float, d: float) -> float:
        """Return the value at N and D."""
        return float(self.e + self.a / n**self.alpha + self.b / d**self.beta)


@dataclass(frozen=True, slots=True)
class JointPower:
    """`((n_c / N) ** (alpha_n / alpha_d) + d_c / D) ** alpha_d`."""

    n_c: float
    d_c: float
    alpha_n: float
    alpha_d: float

    def __call__(self, n: float, d: float) -> float:
        """Return the value at N and D."""
        by_n = (self.n_c / n) ** (self.alpha_n / self.alpha_d)
        return float((by_n + self.d_c / d) ** self.alpha_d)


@dataclass(frozen=True, slots=True)
class OfLoss:
    """`coefficient * L ** exponent` of the loss that a law gives, or of a loss that is known."""

    coefficient: float
    exponent: float
    loss: LawOfScale

    def at_loss(self, loss: float) -> float:
        """Return the value at a loss."""
        return float(self.coefficient * loss**self.exponent)

    def __call__(self, n: float, d: float) -> float:
        """Return the value at N and D."""
        return self.at_loss(self.loss(n, d))
