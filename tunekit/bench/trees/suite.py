"""Collects the six deep conditional trees of one seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tunekit.bench.problem import Problem
from tunekit.bench.trees import architecture, deceptive, jenatton, models, pipeline, shared
from tunekit.errors import InvalidArgument

FAMILIES = (jenatton, architecture, models, pipeline, deceptive, shared)
MAX_JENATTON_DEPTH = 8


def suite(seed: int = 0, *, jenatton_depth: int = 4) -> list[Problem]:
    """Return one instance of each family; the seed draws optima, gaps, weights and defaults.

    Args:
        seed: 0 or more; each seed gives different instances.
        jenatton_depth: switches on each path of Jenatton's tree; 2 is the published function.

    Raises:
        InvalidArgument: `jenatton_depth` lies outside 1 to 8.
    """
    if not 1 <= jenatton_depth <= MAX_JENATTON_DEPTH:
        raise InvalidArgument(
            f"jenatton_depth={jenatton_depth!r}, expected 1 to {MAX_JENATTON_DEPTH}."
        )
    problems = []
    for i, family in enumerate(FAMILIES):
        rng = np.random.default_rng([seed, i])
        options = {"depth": jenatton_depth} if family is jenatton else {}
        problem = family.instance(rng, **options)
        problems.append(replace(problem, name=f"{problem.name}-{seed}"))
    return problems
