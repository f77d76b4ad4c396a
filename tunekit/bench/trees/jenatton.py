"""Deepens Jenatton's tree function: binary switches, shared parameters, shifted leaves."""

from __future__ import annotations

import numpy as np

from tunekit.bench.problem import Problem
from tunekit.bench.trees.draw import draw_problem
from tunekit.bench.trees.landscape import ChoicePenalty, Landscape, Number, Term, best_point
from tunekit.spaces import Categorical, Float, Space

STEP = 0.1
"""Best losses of the leaves are STEP, 2 STEP, 3 STEP, ... in a random order."""


def instance(rng: np.random.Generator, *, depth: int = 4) -> Problem:
    """Return a binary tree with `depth` switches on each path; depth 2 is the published function.

    Each switch below the root has a number `r`, shared by its subtree, and each leaf has a
    number `x`. The loss is `STEP * rank of the leaf + sum |r - r*| + (x - x*)^2`. The paper uses
    x* = 0, r* = 0 and sorted leaves; here all three are random.

    Reference: Jenatton, Archambeau, Gonzalez, Seeger (2017), Bayesian Optimization with
    Tree-structured Dependencies, ICML, section 5.1.
    """
    space = _subtree(depth)
    ranks = iter(rng.permutation(2**depth).tolist())
    terms: dict[str, Term] = {}
    for p in space:
        if isinstance(p.domain, Categorical):
            is_last = p.depth == depth - 1
            terms[p.path] = ChoicePenalty(
                {c: STEP * next(ranks) if is_last else 0.0 for c in p.domain.choices}
            )
            continue
        target = p.domain.to_unit(p.domain.from_unit(float(rng.uniform(0.1, 0.9))))
        is_leaf = p.path.endswith("x")
        # With d the distance in [0, 1]: x spans 2, so (x - x*)^2 = (2 d)^2; r spans 1, so
        # |r - r*| = d.
        terms[p.path] = Number(
            p.domain, target, 1.0 if is_leaf else 0.5, "bowl" if is_leaf else "kink"
        )
    landscape = Landscape(terms, best_point(space, _towards_best_leaf(terms)), STEP)
    return draw_problem("jenatton", space, landscape=landscape, rng=rng)


def _subtree(depth: int, *, is_root: bool = True) -> Space:
    if depth == 0:
        return Space(x=Float(-1.0, 1.0))
    shared = {} if is_root else {"r": Float(0.0, 1.0)}
    below = _subtree(depth - 1, is_root=False)
    return Space(shared, go=Categorical({"left": below, "right": below}))


def _towards_best_leaf(terms: dict[str, Term]) -> dict[str, Term]:
    """Return the terms with a cost on every choice that leaves the path to the best leaf."""
    best = next(
        f"{path}.{choice}"
        for path, term in terms.items()
        if isinstance(term, ChoicePenalty)
        for choice, cost in term.costs.items()
        if cost == 0.0 and f"{path}.{choice}.x" in terms
    )
    return {
        path: ChoicePenalty(
            {c: float(not f"{best}.".startswith(f"{path}.{c}.")) for c in term.costs}
        )
        if isinstance(term, ChoicePenalty)
        else term
        for path, term in terms.items()
    }
