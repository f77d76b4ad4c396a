"""Spends a trial that promises nothing on what the model may be wrong about.

A search that has converged would measure the surroundings of its best point again and again,
because its model is sure that all else is worse: from the far side of a constraint, a second
feasible island looks like more of the same. Such a trial is spent on the best of random points
under a model that trusts its data only nearby.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tunekit.samplers.bayesian.candidates import Candidates
from tunekit.samplers.bayesian.search import RowScore
from tunekit_surrogates.tree_gp import TreeGP

NEGLIGIBLE = 1e-3
"""Expected improvement that is not worth a trial, in standard deviations of the losses."""

NEGLIGIBLE_GROWTH = 1e-2
"""Expected growth of a front that is not worth a trial, as a share of its hypervolume."""

EARLY = 10.0
"""Factor on both at the start of a planned study, which falls to 1 at its end: what is found
beyond can be followed only while trials are left."""

DOUBT = 3.0
"""Factor by which a doubting model shortens the length scales."""

BOLDNESS = 2.0
"""Factor on the standard deviations of a doubting model."""

N_ROWS = 600
"""Random points to choose from. They are not moved uphill, which would end in the corners."""


def log_patience(number: int, planned: int | None) -> float:
    """Return the log of the factor on what is negligible for a trial of a planned study."""
    if not planned:
        return 0.0
    left = max(1.0 - number / planned, 0.0)
    return math.log(EARLY) * left


def why_beyond(n_trials: int) -> str:
    """Return the reason for a point that a doubting model chose."""
    return (
        f"a model of {n_trials} trials expects hardly any improvement, so this point tests "
        "what it may be wrong about"
    )


def doubting(gp: TreeGP) -> TreeGP:
    """Return the process with the same data, which say less about what is far from them."""
    p = gp.parameters
    short = replace(p, lengths=p.lengths - math.log(DOUBT))
    return TreeGP.given(replace(gp.structure, trend=0.0), short, gp.x, gp.y, gp.noise)


def best_of_random(
    score: RowScore, candidates: Candidates, good: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the `(d,)` random row of highest score.

    Args:
        score: of a doubting model.
        candidates: of the space.
        good: `(k, d)` rows known to satisfy the constraints of the space.

    Raises:
        InvalidSpace: no row satisfies the constraints of the space.
    """
    rows = candidates.random(N_ROWS, known=good)
    return np.asarray(rows[int(np.argmax(score(rows)))])
