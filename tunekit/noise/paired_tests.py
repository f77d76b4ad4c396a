"""Paired tests whether one configuration is worse than another on the same blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Test: TypeAlias = Literal["t", "wilcoxon"]

LEAST: dict[Test, int] = {"t": 3, "wilcoxon": 6}
"""Minimum number of blocks; fewer leave hardly any power (the smallest p of 5 ranks is 1/32)."""


def p_worse(a: Sequence[float], b: Sequence[float], *, test: Test = "t") -> float:
    """Return the one-sided p-value that losses `a` are larger than `b`, block by block.

    Args:
        a: losses on two or more blocks.
        b: losses on the same blocks, in the same order.
        test: the paired t-test, or Wilcoxon's signed-rank test (for any symmetric noise).

    Returns:
        A small value if `a` is clearly worse; 1 if the two are equal everywhere.

    Reference: Student, 1908, "The probable error of a mean"; Wilcoxon, 1945, "Individual
    comparisons by ranking methods".
    """
    difference = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    if np.ptp(difference) == 0.0:  # without noise neither test is defined
        return 0.0 if difference[0] > 0.0 else 1.0
    if test == "wilcoxon":
        from scipy.stats import wilcoxon  # takes a second to import, so only on demand

        return float(wilcoxon(difference, alternative="greater").pvalue)
    from scipy.special import stdtr

    n = len(difference)
    t = np.mean(difference) / (np.std(difference, ddof=1) / np.sqrt(n))
    return float(stdtr(n - 1, -t))


def mcnemar(n_lost: int, n_won: int) -> float:
    """Return the one-sided p-value that more pairs are lost than won; ties do not count.

    Args:
        n_lost: pairs in which only the other one succeeds.
        n_won: pairs in which only this one succeeds.

    Returns:
        The exact probability of at least this many losses if each is as likely as a win; 1 without
        a loss.

    Reference: McNemar, 1947, "Note on the sampling error of the difference between correlated
    proportions", with the exact binomial distribution, as in the sign test.
    """
    from scipy.special import bdtrc

    return float(bdtrc(n_lost - 1, n_lost + n_won, 0.5)) if n_lost > 0 else 1.0


def holm(p: Sequence[float]) -> NDArray[np.float64]:
    """Return `(n,)` p-values corrected for the number of tests, in the given order.

    Rejecting those below alpha rejects any true hypothesis with probability at most alpha, for
    any dependence between the tests.

    Reference: Holm, 1979, "A simple sequentially rejective multiple test procedure".
    """
    raw = np.asarray(p, dtype=np.float64)
    order = np.argsort(raw, kind="stable")
    factors = len(raw) - np.arange(len(raw))
    out = np.empty_like(raw)
    out[order] = np.minimum(1.0, np.maximum.accumulate(raw[order] * factors))
    return out


def spent(alpha: float, look: int) -> float:
    """Return the significance level of look number `look`, from 1, at growing data.

    The levels of all looks sum to alpha: `sum 1 / (k (k + 1)) = sum (1 / k - 1 / (k + 1)) = 1`.

    Reference: Lan and DeMets, 1983, "Discrete sequential boundaries for clinical trials".
    """
    return alpha / (look * (look + 1))
