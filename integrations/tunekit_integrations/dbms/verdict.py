"""Decides from repeated comparisons whether a configuration is faster than the default.

Every comparison is a log gain: `log(time of the default / time of the candidate)` of a unit of
work, so positive is faster, and 0.1 is about 10 %. The same comparison of the default with itself
(A/A) has a bias, such as that of the second of two servers, and a spread; a candidate has to beat
both. Comparisons are repeated across restarts, since a spread within one session is too small: it
leaves out what a start decides, such as where pages lie in memory.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from scipy.special import stdtrit

from tunekit.errors import InvalidArgument

LEVEL = 0.95
"""Of all intervals, two-sided."""
MIN_ROUNDS = 3
"""Fewest fresh comparisons, each after a restart, that a gain may be accepted on."""
MIN_SD = 1e-4
"""Least standard deviation of a log gain: no clock and no server repeats a time better."""

Basis: TypeAlias = Literal["wall", "cpu"]
"""Whose seconds decide: those of the clock, or those of the server's processes."""

ACCEPTED = "faster"
NOT_SIGNIFICANT = "no significant gain"


@dataclass(frozen=True, slots=True)
class ConfidenceInterval:
    """A mean and its 95 % interval."""

    mean: float
    low: float
    high: float

    def as_factor(self) -> ConfidenceInterval:
        """Return the factor of speed of an interval of log gains: 1.2 does 1.2 times as much."""
        return ConfidenceInterval(math.exp(self.mean), math.exp(self.low), math.exp(self.high))

    def to_dict(self) -> dict[str, float]:
        """Return plain JSON."""
        return {"mean": self.mean, "low": self.low, "high": self.high}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a candidate is faster than the default.

    Attributes:
        is_accepted: whether its lower bound beats the upper bound of A/A.
        gain: of its log gains, less the bias of A/A, with the errors of both.
        lower: lower 95 % bound of its log gains.
        bound: upper 95 % bound of the log gains of A/A, at least 0: what it has to beat.
        n_rounds: fresh comparisons of the candidate.
        sd: of one comparison.
    """

    is_accepted: bool
    gain: ConfidenceInterval
    lower: float
    bound: float
    n_rounds: int
    sd: float

    @property
    def word(self) -> str:
        """Return the verdict in words."""
        return ACCEPTED if self.is_accepted else NOT_SIGNIFICANT

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "verdict": self.word,
            "gain": self.gain.to_dict(),
            "lower": self.lower,
            "bound": self.bound,
            "n_rounds": self.n_rounds,
            "sd": self.sd,
        }


def judged(gains: Sequence[float], of_default: Sequence[float]) -> Verdict:
    """Return the verdict on a candidate.

    The spread of one comparison is pooled from both series. Where the candidate's own is larger,
    that is taken: a configuration may be faster and less steady.

    Args:
        gains: log gains of the candidate, one a restart, none of which chose it.
        of_default: log gains of the default against itself, taken the same way.

    Raises:
        InvalidArgument: fewer than two comparisons of either.
    """
    if len(gains) < 2 or len(of_default) < 2:
        raise InvalidArgument(
            f"{len(gains)} comparisons of a candidate and {len(of_default)} of the default with "
            "itself; a verdict needs at least 2 of each."
        )
    n, n_aa = len(gains), len(of_default)
    mean, bias = math.fsum(gains) / n, math.fsum(of_default) / n_aa
    own, aa = _sum_of_squares(gains, mean), _sum_of_squares(of_default, bias)
    df = n + n_aa - 2
    sd = max(math.sqrt((own + aa) / df), MIN_SD)
    reach = sd * quantile(df)
    steady = math.sqrt(own / (n - 1)) <= 2.0 * sd
    own_reach = reach if steady else math.sqrt(own / (n - 1)) * quantile(n - 1)
    lower = mean - own_reach / math.sqrt(n)
    bound = max(0.0, bias + reach / math.sqrt(n_aa))
    error = math.hypot(own_reach / math.sqrt(n), reach / math.sqrt(n_aa))
    gain = mean - bias
    return Verdict(
        n >= MIN_ROUNDS and lower > bound,
        ConfidenceInterval(gain, gain - error, gain + error),
        lower,
        bound,
        n,
        sd,
    )


def interval(values: Sequence[float]) -> ConfidenceInterval:
    """Return the mean of values, with the 95 % interval of Student's t; one has no interval."""
    n = len(values)
    mean = math.fsum(values) / n
    if n < 2:
        return ConfidenceInterval(mean, mean, mean)
    reach = math.sqrt(_sum_of_squares(values, mean) / (n - 1) / n) * quantile(n - 1)
    return ConfidenceInterval(mean, mean - reach, mean + reach)


def deviation(values: Sequence[float]) -> float:
    """Return the standard deviation of at least two values, never less than `MIN_SD`."""
    mean = math.fsum(values) / len(values)
    return max(math.sqrt(_sum_of_squares(values, mean) / (len(values) - 1)), MIN_SD)


def quantile(df: int) -> float:
    """Return how many standard errors the 95 % interval reaches to either side."""
    return float(stdtrit(df, 0.5 + LEVEL / 2))


def _sum_of_squares(values: Sequence[float], mean: float) -> float:
    return math.fsum((v - mean) ** 2 for v in values)
