"""Pipeline problem: three stages in sequence, each a switch that activates further switches."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from tunekit.bench.problem import Problem
from tunekit.bench.trees.draw import Recipe, draw_pairs, draw_problem, draw_terms
from tunekit.bench.trees.landscape import Landscape, best_point
from tunekit.spaces import Categorical, Float, Int, Space

STAGES = ("clean", "represent", "predict")
RECIPE = Recipe(gap=(0.1, 0.35), weight=0.35, decay=0.8)


def instance(rng: np.random.Generator) -> Problem:
    """Return three stages of four choices; each activates two switches, one of them nested.

    Every point has 12 active switches. Choices of adjacent stages may clash.
    """
    space = Space({stage: Categorical(_stage(i)) for i, stage in enumerate(STAGES)})
    terms = draw_terms(space, rng, RECIPE)
    landscape = Landscape(terms, best_point(space, terms), 0.1, outer="log")
    landscape = draw_pairs(landscape, pairwise(STAGES), rng, 0.2)
    return draw_problem("pipeline", space, landscape=landscape, rng=rng)


def _stage(i: int) -> dict[str, Space]:
    """Return the four choices of a stage, each with different parameters."""
    return {
        name: Space(
            rate=Float(10.0 ** -(i + 2), 1.0, log=True),
            variant=Categorical(_variants(n_variants)),
            guard=Categorical({"off": Space(keep=keep), "on": Space(limit=Float(0.0, 1.0))}),
        )
        for name, n_variants, keep in (
            ("plain", 2, Int(1, 10)),
            ("robust", 2, Float(0.1, 1.0)),
            ("dense", 3, Int(1, 100, log=True)),
            ("sparse", 3, Float(1e-3, 1.0, log=True)),
        )
    }


def _variants(n: int) -> dict[str, Space]:
    """Return `n` variants, each with its own switch."""
    inner = Categorical(
        {
            "fixed": Space(value=Float(-1.0, 1.0)),
            "adaptive": Space(start=Float(1e-3, 1.0, log=True), patience=Int(1, 20)),
        }
    )
    return {f"v{k}": Space(size=Int(2, 2 ** (k + 4), log=True), mode=inner) for k in range(n)}
