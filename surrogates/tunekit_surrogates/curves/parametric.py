"""Fits families of learning curves to a single run, for studies with few complete runs.

All families have the form `a + b phi(t)`, where `phi` has one or two parameters of its own.
A grid covers these, and `a` and `b` follow by linear regression (variable projection), without
iteration and for all runs at once.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from tunekit_surrogates.curves.scale import Floats

MIN_REPORTS = 5
"""Minimum number of reports to fit a curve; below it the last value is the prediction."""

HELD = 0.2
"""Share of the reports, the latest ones, that weighs the members."""

RIDGE = 1e-3
NOISE = 1e-5
"""Squared error, in units of the curve's range, below which members count as equally good."""


@lru_cache(maxsize=256)
def _bases(t: int, horizon: int) -> tuple[Floats, ...]:
    """Return for each family the `(g, t + 1)` values of its `phi` at 1..t and at the horizon."""
    times = np.append(np.arange(1.0, t + 1.0), max(horizon, t))
    powers = np.array([0.1, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0])[:, None]
    rates = np.geomspace(0.3, 30.0, 100)[:, None] / t
    halves = t * np.array([0.1, 0.25, 0.5, 1.0, 2.0])
    steep = np.array([1.0, 2.0, 4.0])
    sigmoids = [1.0 / (1.0 + (times / h) ** d) for h in halves for d in steep]
    return times**-powers, np.exp(-rates * times), np.array(sigmoids)


def extrapolated(curves: Floats, horizon: int) -> Floats:
    """Return `(n,)` extrapolations of `(n, t)` curves to report `horizon`.

    The families are pow3, `a + b t^-c`; exp3, `a + b e^(-c t)`; and MMF, `a + b / (1 + (t/h)^d)`,
    which is also the logarithmic power curve. Of each, the member counts that foresees the last
    fifth of the reports best, with a weight by how well it does, beside the last value. An
    answer is at most one range of the curve below its lowest and above its highest value.

    Reference:
        T. Domhan, J. T. Springenberg and F. Hutter, 2015, "Speeding up automatic hyperparameter
        optimization of deep neural networks by extrapolation of learning curves", table 1.
    """
    t = curves.shape[1]
    low, high = curves.min(axis=1), curves.max(axis=1)
    last = curves[:, -1]
    if t < MIN_REPORTS or horizon <= t:
        return last.copy()
    span = np.where(high > low, high - low, 1.0)
    y = (curves - low[:, None]) / span[:, None]
    n_seen = t - max(1, round(HELD * t))
    values = [y[:, -1]]
    errors = [((y[:, n_seen:] - y[:, n_seen - 1 : n_seen]) ** 2).mean(axis=1)]
    rows = np.arange(len(y))
    for phi in _bases(t, horizon):
        foreseen = _line(phi[:, :n_seen], y[:, :n_seen], phi[:, n_seen:t])
        missed = ((foreseen - y[:, None, n_seen:]) ** 2).mean(axis=2)
        best = missed.argmin(axis=1)
        ends = _line(phi[:, :t], y, phi[:, t:])[rows, best, 0]
        values.append(np.clip(ends, -1.0, 2.0))
        errors.append(missed[rows, best])
    weights = 1.0 / (np.array(errors) + NOISE) ** 2
    found: Floats = low + span * np.average(np.array(values), axis=0, weights=weights)
    return np.where(high > low, found, last)


def _line(phi: Floats, y: Floats, ahead: Floats) -> Floats:
    """Return `(n, g, k)` values at `(g, k)` `ahead` of regressions of `(n, t)` on `(g, t)`."""
    centre = phi.mean(axis=1, keepdims=True)
    away, middle = phi - centre, y.mean(axis=1)
    spread = (away**2).sum(axis=1)
    slopes = (y - middle[:, None]) @ away.T / (spread * (1.0 + RIDGE) + 1e-300)
    line: Floats = middle[:, None, None] + slopes[:, :, None] * (ahead - centre)[None]
    return line
