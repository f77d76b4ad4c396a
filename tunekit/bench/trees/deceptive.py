"""Deceptive tree: the best leaf lies below branches with a worse average."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tunekit.bench.problem import Problem
from tunekit.bench.trees.draw import Recipe, draw_problem, draw_terms
from tunekit.bench.trees.landscape import Landscape, Number, best_point
from tunekit.spaces import Categorical, Float, Space

DEPTH = 4
RECIPE = Recipe(gap=(0.15, 0.3), weight=0.08, decay=0.9, shapes=("bowl",))
SENSITIVE = 0.9
"""Penalty of the numbers on the path to the best leaf; other numbers hardly matter."""


def instance(rng: np.random.Generator) -> Problem:
    """Return a tree of 40 three-way switches, 4 on each path, with one number per step.

    A wrong branch costs at most 0.3 in total. On the best path, each number costs up to 0.9
    unless it is near its target. A sampler must therefore rate a branch by its best result, not
    by its mean.
    """
    space = Space(go=_switch(DEPTH))
    terms = draw_terms(space, rng, RECIPE)
    optimum = best_point(space, terms)
    for p in space:
        term = terms[p.path]
        if isinstance(term, Number) and p.path in optimum:
            weight = SENSITIVE * RECIPE.decay**p.depth
            terms[p.path] = replace(term, weight=weight, shape="funnel")
    landscape = Landscape(terms, optimum, 0.0)
    return draw_problem("deceptive", space, landscape=landscape, rng=rng)


def _switch(depth: int) -> Categorical:
    """Return a switch tree in which every path has `depth` switches."""
    step = Float(0.0, 1.0)
    below = Space(step=step) if depth == 1 else Space(step=step, go=_switch(depth - 1))
    return Categorical({"a": below, "b": below, "c": below})
