"""Ranks advised points by the model of the trials, and by what the language model expects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tunekit.samplers.base import StudyView
from tunekit.samplers.bayesian.acquisition import log_improvement

if TYPE_CHECKING:
    from numpy.typing import NDArray

MARGIN = 2.3
"""Nats of log expected improvement by which an advised point may lie behind the own best one."""

SPREAD = 2 * MARGIN
"""Nats by which a language model can put one point behind another, however sure it is."""


def most_promising(
    view: StudyView,
    expected: Sequence[tuple[float, float] | None],
    promised: Sequence[float] | None,
    own: float | None,
) -> int | None:
    """Return the place of the point to try, `None` if the own one promises far more.

    With both opinions points are ranked by the mean of the two log improvements. Which of them may
    be tried at all is up to the model of the trials alone. Without any the first point is taken.

    Args:
        view: of the study.
        expected: what the language model expects of each point: mean and sd of the result.
        promised: log expected improvement of each point by the model of the trials, if there is
            one.
        own: that of the classical sampler's own point.
    """
    scores = np.zeros(len(expected)) if promised is None else np.array(promised)
    opinion = _improvements(view, expected)
    if opinion is not None:
        scores = opinion if promised is None else (scores + opinion) / 2
    if promised is not None and own is not None:
        scores = np.where(np.array(promised) >= own - MARGIN, scores, -np.inf)
    place = int(np.argmax(scores))
    return place if scores[place] > -np.inf else None


def _improvements(
    view: StudyView, expected: Sequence[tuple[float, float] | None]
) -> NDArray[np.float64] | None:
    """Return the `(n,)` log improvements that a language model expects, the best of them 0.

    `None` if it has an opinion on some of the points only, or there is no result to improve.
    """
    best = view.history.best
    known = [e for e in expected if e is not None]
    if best is None or not known or len(known) < len(expected):
        return None
    (objective,) = view.objectives
    sign = objective.loss(1.0)
    mean, sd = np.array(known).T
    gain = sign * (best.metrics[objective.metric] - mean)
    with np.errstate(over="ignore"):
        z = np.clip(gain / sd, -1e6, 1e6)
    found = np.log(sd) + log_improvement(z)
    return np.asarray(np.maximum(found - found.max(), -SPREAD))
