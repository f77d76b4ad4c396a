"""Draws a landscape and defaults from a seed for the space of a family."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tunekit.bench.problem import Problem
from tunekit.bench.trees.landscape import ChoicePenalty, Landscape, Number, Pair, Shape, Term
from tunekit.samplers.base import sample
from tunekit.spaces import (
    Categorical,
    Constant,
    Float,
    Int,
    Parameter,
    Repeat,
    Scalar,
    Space,
    When,
)

N_DEFAULTS = 8
"""Number of random points to choose the defaults from."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Sets the penalties in a family.

    Attributes:
        gap: range of the cost of a wrong choice at the root.
        weight: total penalty weight of the numbers in one block at the root.
        decay: factor on `gap` and `weight` for each switch down the path.
        shapes: penalty shapes to draw from for each number.
    """

    gap: tuple[float, float] = (0.1, 0.4)
    weight: float = 0.5
    decay: float = 0.85
    shapes: tuple[Shape, ...] = ("bowl", "kink", "cliff", "ripple")


def draw_terms(space: Space, rng: np.random.Generator, recipe: Recipe) -> dict[str, Term]:
    """Draw a penalty for every parameter, with random targets, best choices and weights."""
    numbers: dict[object, list[Parameter]] = {}
    terms: dict[str, Term] = {}
    for p in space:
        if isinstance(p.domain, Categorical):
            terms[p.path] = draw_choice(p.domain, rng, recipe, p.depth)
        else:
            numbers.setdefault(p.conditions, []).append(p)
    for block in numbers.values():
        shares = rng.dirichlet(np.full(len(block), 2.0))
        for p, share in zip(block, shares, strict=True):
            weight = recipe.weight * recipe.decay**p.depth * float(share)
            shape = recipe.shapes[rng.integers(len(recipe.shapes))]
            terms[p.path] = Number(p.domain, _target(p, rng), weight, shape)
    return terms


def draw_choice(
    domain: Categorical, rng: np.random.Generator, recipe: Recipe, depth: int
) -> ChoicePenalty:
    """Draw the costs of the choices; a random one costs nothing."""
    best = int(rng.integers(len(domain.choices)))
    costs = rng.uniform(*recipe.gap, len(domain.choices)) * recipe.decay**depth
    return ChoicePenalty(
        {c: 0.0 if i == best else float(costs[i]) for i, c in enumerate(domain.choices)}
    )


def draw_pairs(
    landscape: Landscape, paths: Iterable[tuple[str, str]], rng: np.random.Generator, cost: float
) -> Landscape:
    """Return the landscape with an extra cost of up to `cost` on half of the pairs of choices."""
    pairs = []
    for first, second in paths:
        one, two = landscape.terms[first], landscape.terms[second]
        assert isinstance(one, ChoicePenalty) and isinstance(two, ChoicePenalty)
        costs: dict[tuple[Scalar, Scalar], float] = {
            (a, b): float(rng.uniform(0.3, 1.0)) * cost
            for a in one.costs
            for b in two.costs
            if rng.random() < 0.5
        }
        # `get`: a parameter inactive at the optimum has no value there
        costs.pop((landscape.optimum.get(first), landscape.optimum.get(second)), None)
        pairs.append(Pair(first, second, costs))
    return replace(landscape, pairs=landscape.pairs + tuple(pairs))


def draw_problem(
    name: str, space: Space, *, landscape: Landscape, rng: np.random.Generator
) -> Problem:
    """Return the problem with decent, but not optimal, defaults.

    The defaults are the best of `N_DEFAULTS` random points; parameters inactive in that point
    get random defaults. All copies of a `Repeat` share the defaults of the first.
    """
    points = [sample(space, rng) for _ in range(N_DEFAULTS)]
    defaults = {p.path: p.domain.from_unit(rng.random()) for p in space} | min(
        points, key=landscape
    )
    space = with_defaults(space, "", defaults)
    return Problem(f"trees/{name}", space, landscape, best_known=landscape.best)


def _target(p: Parameter, rng: np.random.Generator) -> float:
    """Draw a position in `[0, 1]` that corresponds exactly to a value of the domain."""
    return p.domain.to_unit(p.domain.from_unit(float(rng.uniform(0.1, 0.9))))


def with_defaults(space: Space, prefix: str, defaults: Mapping[str, Any]) -> Space:
    """Return the space with the defaults of `prefix` + path, one for every parameter."""
    nodes = {name: _node(node, prefix + name, defaults) for name, node in space.nodes}
    when = [
        When(w.parent, w.values, with_defaults(w.space, prefix, defaults), also=dict(w.also))
        for w in space.when
    ]
    return Space(nodes, when=when, constraints=space.constraints)


def _node(node: Any, path: str, defaults: Mapping[str, Any]) -> Any:
    if isinstance(node, Float | Int):
        return replace(node, default=defaults[path])
    if isinstance(node, Repeat):
        return replace(node, block=with_defaults(node.block, f"{path}.0.", defaults))
    if isinstance(node, Constant):
        return node
    labels = {values: label for label, values, _ in node.openings()}
    choices = {
        group: child and with_defaults(child, f"{path}.{labels[group]}.", defaults)
        for group, child in node.mapping().items()
    }
    return Categorical(choices, ordered=node.ordered, default=defaults[path])
