"""Flat spaces that look like training a network: best at an edge, begun on a plateau."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tunekit.bench.problem import Problem
from tunekit.bench.trees.draw import Recipe, draw_choice, with_defaults
from tunekit.bench.trees.landscape import (
    CHANCE,
    Landscape,
    Number,
    Outer,
    Shape,
    Term,
    best_point,
)
from tunekit.samplers.base import sample
from tunekit.spaces import Categorical, Float, Int, Parameter, Space

BEST = 0.03
"""Loss at the optimum; with `CHANCE` the plateau lies at an error of 99 %."""

N_POINTS = 400
"""Random points that set the scale of the penalties."""

CHOICES = Recipe(gap=(0.1, 0.35), decay=1.0)
"""Costs of wrong choices, before scaling."""


@dataclass(frozen=True, slots=True)
class Family:
    """Describes the instances of one problem.

    Attributes:
        at_edge: numbers whose best value is the end of their range, as their paths; the seed
            draws which end. The others have theirs inside.
        outer: `capped` gives a plateau, where the loss is the same everywhere.
        slope_share: share of the space below the plateau.
        follows: path of a number -> path of the number that moves its best value.
        idle: paths of numbers that hardly matter.
    """

    name: str
    space: Space
    at_edge: tuple[str, ...]
    outer: Outer = "saturating"
    slope_share: float = 0.05
    follows: tuple[tuple[str, str], ...] = ()
    idle: tuple[str, ...] = ()
    shapes: tuple[Shape, ...] = ("bowl", "kink", "cliff")

    def instance(self, rng: np.random.Generator, seed: int) -> Problem:
        """Return the problem that `rng` draws."""
        terms = {p.path: self._term(p, rng) for p in self.space}
        plain = Landscape(terms, best_point(self.space, terms), 0.0)
        points = [sample(self.space, rng) for _ in range(N_POINTS)]
        share = self.slope_share if self.outer == "capped" else 0.5
        losses = [plain(point) for point in points]
        terms = scaled(terms, CHANCE / float(np.quantile(losses, share)))
        landscape = Landscape(terms, plain.optimum, BEST, outer=self.outer)
        default = points[_default(losses, is_capped=self.outer == "capped")]
        return Problem(
            f"flat/{self.name}-{seed}",
            with_defaults(self.space, "", default),
            landscape,
            best_known=BEST,
        )

    def _term(self, p: Parameter, rng: np.random.Generator) -> Term:
        if isinstance(p.domain, Categorical):
            return draw_choice(p.domain, rng, CHOICES, 0)
        position = float(rng.integers(2)) if p.path in self.at_edge else rng.uniform(0.15, 0.85)
        weight = 0.02 if p.path in self.idle else rng.uniform(0.4, 1.0)
        followed = dict(self.follows).get(p.path, "")
        return Number(
            p.domain,
            p.domain.to_unit(p.domain.from_unit(position)),
            float(weight),
            self.shapes[rng.integers(len(self.shapes))],
            followed,
            float(rng.choice([-1.0, 1.0]) * rng.uniform(0.3, 0.7)) if followed else 0.0,
        )


def scaled(terms: Mapping[str, Term], factor: float) -> dict[str, Term]:
    """Return the terms with all penalties multiplied by `factor`."""
    return {
        path: replace(term, weight=factor * term.weight)
        if isinstance(term, Number)
        else replace(term, costs={choice: factor * cost for choice, cost in term.costs.items()})
        for path, term in terms.items()
    }


def _default(losses: Sequence[float], *, is_capped: bool) -> int:
    """Return the index of a poor first guess: worse than three quarters of the points.

    With a plateau, all of these lie on it.
    """
    return int(np.argsort(losses)[(9 if is_capped else 7) * len(losses) // 10])


def _floats(n: int) -> dict[str, Float]:
    return {f"x{i}": Float(0.0, 1.0) for i in range(n)}


LR = Float(1e-5, 1.0, log=True)
BATCH = Int(8, 512, log=True)
DECAY = Float(1e-7, 1e-1, log=True)
DROPOUT = Float(0.0, 0.8)

MIXED = Space(
    lr=LR,
    weight_decay=DECAY,
    dropout=DROPOUT,
    momentum=Float(0.0, 0.999),
    layers=Int(1, 12),
    units=Int(16, 1024, log=True),
    batch=BATCH,
    activation=Categorical(["relu", "gelu", "tanh", "selu"]),
    schedule=Categorical(["constant", "cosine", "linear"]),
)

FAMILIES = (
    Family("edge-4d", Space(_floats(4)), at_edge=("x0", "x1", "x2")),
    Family(
        "plateau-4d",
        Space(lr=LR, batch=BATCH, weight_decay=DECAY, dropout=DROPOUT),
        at_edge=("batch", "dropout"),
        outer="capped",
        follows=(("lr", "batch"),),
    ),
    Family(
        "plateau-8d",
        Space(_floats(8)),
        at_edge=("x0", "x1", "x2"),
        outer="capped",
        follows=(("x3", "x4"), ("x5", "x0")),
    ),
    Family("mixed-9d", MIXED, at_edge=("weight_decay", "units", "momentum")),
    Family(
        "plateau-mixed-9d",
        MIXED,
        at_edge=("batch", "layers", "dropout"),
        outer="capped",
        follows=(("lr", "batch"),),
    ),
    Family(
        "idle-12d",
        Space(_floats(12)),
        at_edge=("x0", "x1"),
        follows=(("x2", "x3"),),
        idle=tuple(f"x{i}" for i in range(5, 12)),
    ),
)


def suite(seed: int = 0) -> list[Problem]:
    """Return six flat problems; the seed draws optima, penalties and defaults.

    The best values of two or three numbers lie at an end of their ranges. In three of the
    problems 95 % of the space, the default included, has the same error of 99 %, as where a
    network does not learn at all; in the others the default is a poor guess. Two have nine
    parameters of mixed kinds, and in the last one only five of twelve numbers matter.
    """
    return [
        family.instance(np.random.default_rng([seed, 0xF1A7, i]), seed)
        for i, family in enumerate(FAMILIES)
    ]
