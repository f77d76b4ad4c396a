"""Computes a model's input features from the first reports of a run."""

from __future__ import annotations

import numpy as np

from tunekit_surrogates.curves.scale import Floats

N_LAST = 7
"""Reports before the last that become features of their own."""


def carried(curves: Floats) -> Floats:
    """Return `(n, t)` curves with missing reports filled by the value before them.

    Missing reports at the start take the first value that follows. Rows without any value stay
    NaN.
    """
    n, t = curves.shape
    places = np.where(np.isnan(curves), -1, np.arange(t))
    latest = np.maximum.accumulate(places, axis=1)
    first = np.argmax(~np.isnan(curves), axis=1)
    latest = np.where(latest < 0, first[:, None], latest)
    return curves[np.arange(n)[:, None], latest]


def curve_features(curves: Floats) -> Floats:
    """Return `(n, k)` features of `(n, t)` curves without NaN.

    The last value, means over windows, the extremes, first differences with their spread (second
    differences are linear in the last values, which follow one by one).

    Reference:
        B. Baker, O. Gupta, R. Raskar and N. Naik, 2017, "Accelerating Neural Architecture Search
        using Performance Prediction", section 3.1.
    """
    t = curves.shape[1]
    last, lowest = curves[:, -1], curves.min(axis=1)
    steps = np.diff(curves, axis=1) if t > 1 else np.zeros((len(curves), 1))
    k = max(1, t // 3)
    columns = [
        last,
        curves[:, -k:].mean(axis=1),
        curves.mean(axis=1),
        lowest,
        curves[:, 0],
        curves[:, t // 2],
        last - lowest,
        steps[:, -1],
        steps[:, -k:].mean(axis=1),
        steps.mean(axis=1),
        steps.std(axis=1),
        *curves[:, -N_LAST - 1 : -1].T,
    ]
    return np.column_stack(columns)


def trend_features(curves: Floats) -> Floats:
    """Return `(n, 4)` features of `(n, t)` curves without NaN: where they are and where they go.

    The last value, the mean of the last third, the mean of all, and the mean of the last steps.
    """
    t = curves.shape[1]
    k = max(1, t // 3)
    steps = np.diff(curves, axis=1) if t > 1 else np.zeros((len(curves), 1))
    return np.column_stack(
        [
            curves[:, -1],
            curves[:, -k:].mean(axis=1),
            curves.mean(axis=1),
            steps[:, -k:].mean(axis=1),
        ]
    )
