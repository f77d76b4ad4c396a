"""Tail probabilities of counts, on `scipy.special` alone, which loads fast."""

from __future__ import annotations

import math


def binomial_tail(k: int, n: int, p: float) -> float:
    """Return the probability of `k` or more successes in `n` trials."""
    from scipy.special import bdtrc

    return 1.0 if k <= 0 else float(bdtrc(k - 1, n, p))


def binomial_low(k: int, n: int, level: float) -> float:
    """Return the one-sided lower confidence bound of a share of which `k` of `n` were seen.

    Reference: Clopper and Pearson, 1934, "The Use of Confidence or Fiducial Limits".
    """
    from scipy.special import betaincinv

    return 0.0 if k == 0 else float(betaincinv(k, n - k + 1, 1.0 - level))


def binomial_high(k: int, n: int, level: float) -> float:
    """Return the one-sided upper confidence bound of a share of which `k` of `n` were seen."""
    return 1.0 - binomial_low(n - k, n, level)


def hypergeometric_tail(k: int, drawn: int, marked: int, total: int) -> float:
    """Return the probability that `k` or more of the drawn ones are marked.

    It is the one-sided p-value of Fisher's exact test.
    """
    log_all = _log_choose(total, drawn)
    terms = [
        math.exp(_log_choose(marked, i) + _log_choose(total - marked, drawn - i) - log_all)
        for i in range(max(k, drawn + marked - total, 0), min(drawn, marked) + 1)
    ]
    return min(1.0, math.fsum(terms))


def poisson_tail(k: int, mean: float) -> float:
    """Return the probability of `k` or more events."""
    from scipy.special import pdtrc

    return 1.0 if k <= 0 else float(pdtrc(k - 1, mean))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
