"""Tells whether all results so far lie on one plateau, where a model has nothing to learn.

A network that does not learn at all ends at the error of guessing, whatever its hyperparameters.
A model of such results follows their noise; points that cover the space find the way down sooner.
"""

from __future__ import annotations

import math

from tunekit.history import History
from tunekit.samplers.bayesian.learnable import has_result

WIDTH = 0.002
"""Maximum distance of the best from the median of a plateau, as a share of the median. The losses
of networks that only guess lie closer; so do few accuracies of models that differ."""

MOST = 24
"""Number of results from which on a model proposes even on a plateau."""


def is_plateau(history: History) -> bool:
    """Return whether fewer than `MOST` trials have a result, and none is better than the usual.

    With several objectives all of them are to be flat. Values far worse than the others, such as
    those of a divergence, do not count.
    """
    rows = []
    for trial in history:
        if has_result(trial, history):
            rows.append(history.loss_row(trial))
            if len(rows) == MOST:
                return False
    return len(rows) > 1 and all(_is_flat(losses) for losses in zip(*rows, strict=True))


def _is_flat(losses: tuple[float, ...]) -> bool:
    middle, best = sorted(losses)[len(losses) // 2], min(losses)  # `statistics` is slow to load
    return math.isfinite(middle) and middle - best <= WIDTH * abs(middle)
