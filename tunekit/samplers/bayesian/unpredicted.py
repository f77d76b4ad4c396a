"""Whether the model of a study predicts the results it has, and what is done where it does not.

A process that cannot tell the good from the bad among its own trials is no guide to others: its
improvements are noise, and come back to the same region. Then one point in two is random, and
along a fidelity the results themselves say which points go on (`promotions`).
"""

from __future__ import annotations

import numpy as np

from tunekit_surrogates.tree_gp import TreeGP

UNPREDICTED = 0.3
"""Share of the variance of the results that a process leaves unexplained, each predicted from all
others, above which it is no guide. Measured from 16 trials on, smooth problems leave .01 to .3,
recorded curves looked up by the nearest configuration .35 to 1."""

MIN_DIFFERENT = 10
MIN_CHEAP = 4
"""Minimum number of different results to tell, of full runs and where most are cheaper ones. Few
results often take a smooth problem for a rough one, which costs little along a fidelity."""

RANDOM_EVERY = 2
"""One new point in so many is random."""

MAX_DRAWS = 32
"""Maximum number of draws for a random point that is new, in a space of few points."""

WHY_RANDOM = "a random point, since a model does not predict the results so far"


def is_unpredicted(gp: TreeGP, *, least: int = MIN_DIFFERENT) -> bool:
    """Return whether a process of all trials fails to predict their results, each from all others.

    Equal results are left out: points on one plateau predict each other, nothing else.

    Args:
        gp: the process.
        least: minimum number of different results.
    """
    _, group, sizes = np.unique(gp.y, return_inverse=True, return_counts=True)
    differs = sizes[group] == 1
    if differs.sum() < least:
        return False
    error = (gp.y - gp.leave_one_out()[0])[differs]
    return float(np.mean(error**2)) > UNPREDICTED * float(np.var(gp.y[differs]))
