"""Families of learning curves, fitted to one run alone: for when few runs are complete."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from tunekit_surrogates.curves.scale import Floats

MIN_REPORTS = 5
"""Reports below which no curve of three parameters is fitted; the last value is kept."""

MAX_STEPS = 60


@dataclass(frozen=True, slots=True)
class Family:
    """A curve over `t >= 1` with three or four parameters.

    Attributes:
        value: parameters and `(k,)` times to `(k,)` values.
        start: parameters to begin at, for a `(k,)` curve of values from 0 to 1.
    """

    name: str
    value: Callable[[Floats, Floats], Floats]
    start: Callable[[Floats], list[float]]


def _pow3(p: Floats, t: Floats) -> Floats:
    return p[0] + p[1] * t ** -np.exp(np.clip(p[2], -6.0, 3.0))


def _exp3(p: Floats, t: Floats) -> Floats:
    return p[0] + p[1] * np.exp(-np.exp(np.clip(p[2], -9.0, 2.0)) * t)


def _log_power(p: Floats, t: Floats) -> Floats:
    slope = np.exp(np.clip(p[3], -4.0, 2.0))
    return p[0] + p[1] / (1.0 + np.exp(np.clip(slope * (np.log(t) - p[2]), -30.0, 30.0)))


def _mmf(p: Floats, t: Floats) -> Floats:
    # (a b + c t^d) / (b + t^d), written as an asymptote and what is left of the way to it.
    b, d = np.exp(np.clip(p[2], -6.0, 8.0)), np.exp(np.clip(p[3], -4.0, 1.5))
    return p[0] + p[1] * b / (b + t**d)


FAMILIES = (
    Family("pow3", _pow3, lambda y: [y[-1], y[0] - y[-1], -0.7]),
    Family("exp3", _exp3, lambda y: [y[-1], y[0] - y[-1], -np.log(max(len(y) / 2.0, 1.0))]),
    Family("log-power", _log_power, lambda y: [y[-1], y[0] - y[-1], np.log(len(y) / 2.0), 0.0]),
    Family("MMF", _mmf, lambda y: [y[-1], y[0] - y[-1], np.log(len(y) / 2.0), 0.0]),
)


def extrapolated(curve: Floats, horizon: int) -> float:
    """Return the value at report `horizon` that the families expect of a `(t,)` curve.

    Each family is fitted by least squares to all but the last fifth of the reports; those weigh
    the families by how well they were foreseen, the last value standing for a fifth family.
    The answer stays within the curve's own range below its lowest and above its highest value.

    Reference:
        T. Domhan, J. T. Springenberg and F. Hutter, 2015, "Speeding up automatic hyperparameter
        optimization of deep neural networks by extrapolation of learning curves", table 1.
    """
    t = len(curve)
    low, high = float(curve.min()), float(curve.max())
    if t < MIN_REPORTS or not high > low:
        return float(curve[-1])
    y = (curve - low) / (high - low)
    times = np.arange(1.0, t + 1.0)
    n_held = max(1, t // 5)
    values, errors = [y[-1]], [float(np.mean((y[-n_held:] - y[-n_held - 1]) ** 2))]
    for family in FAMILIES:
        fitted = _fit(family, times[:-n_held], y[:-n_held])
        error = float(np.mean((family.value(fitted, times[-n_held:]) - y[-n_held:]) ** 2))
        whole = _fit(family, times, y, start=fitted)
        end = family.value(whole, np.array([float(horizon)]))[0]
        if np.isfinite(error) and np.isfinite(end):
            values.append(float(np.clip(end, -1.0, 2.0)))
            errors.append(error)
    weights = 1.0 / (np.asarray(errors) + 1e-4)
    return low + (high - low) * float(np.average(values, weights=weights))


def _fit(family: Family, times: Floats, y: Floats, start: Floats | None = None) -> Floats:
    begin = np.asarray(family.start(y)) if start is None else start
    found: Floats = least_squares(
        lambda p: family.value(p, times) - y,
        begin,
        max_nfev=MAX_STEPS,
        loss="soft_l1",
        f_scale=0.1,
    ).x
    return found
