"""One objective under constraints whose feasible sets are thin or in pieces."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tunekit.bench.problem import Problem
from tunekit.bench.trees.draw import with_defaults
from tunekit.records import MetricConstraint
from tunekit.samplers.base import sample
from tunekit.spaces import Float, Params, Space

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]


def townsend(x: Vector) -> list[float]:
    """Return Townsend's loss and constraint, a heart whose tip holds the best point."""
    a, b = (float(v) for v in x)
    t = np.arctan2(a, b)
    edge = 2 * np.cos(t) - 0.5 * np.cos(2 * t) - 0.25 * np.cos(3 * t) - 0.125 * np.cos(4 * t)
    loss = -(np.cos((a - 0.1) * b) ** 2) - a * np.sin(3 * a + b)
    return [float(loss), float(a**2 + b**2 - edge**2 - (2 * np.sin(t)) ** 2)]


def gramacy(x: Vector) -> list[float]:
    """Return Gramacy's linear loss and two constraints, one of them a wave."""
    a, b = (float(v) for v in x)
    wave = 1.5 - a - 2.0 * b - 0.5 * float(np.sin(2.0 * np.pi * (a**2 - 2.0 * b)))
    return [a + b, wave, a**2 + b**2 - 1.5]


def mishras_bird(x: Vector) -> list[float]:
    """Return Mishra's loss with many valleys and a disk that contains the lowest."""
    a, b = (float(v) for v in x)
    loss = np.sin(b) * np.exp((1.0 - np.cos(a)) ** 2) + np.cos(a) * np.exp((1.0 - np.sin(b)) ** 2)
    return [float(loss) + (a - b) ** 2, (a + 5.0) ** 2 + (b + 5.0) ** 2 - 25.0]


def spring(x: Vector) -> list[float]:
    """Return the weight of a spring of wire `x0`, coil `x1` and `x2` turns, and four bounds."""
    wire, coil, turns = (float(v) for v in x)
    shear = (4.0 * coil**2 - wire * coil) / (12566.0 * (coil * wire**3 - wire**4))
    return [
        (turns + 2.0) * coil * wire**2,
        1.0 - coil**3 * turns / (71785.0 * wire**4),
        shear + 1.0 / (5108.0 * wire**2) - 1.0,
        1.0 - 140.45 * wire / (coil**2 * turns),
        (wire + coil) / 1.5 - 1.0,
    ]


def welded_beam(x: Vector) -> list[float]:
    """Return the cost of a welded beam and its bounds on stress, buckling and deflection."""
    weld, length, height, width = (float(v) for v in x)
    load, span, elastic, shear_modulus = 6000.0, 14.0, 30e6, 12e6
    half = np.sqrt(length**2 / 4.0 + ((weld + height) / 2.0) ** 2)
    moment = load * (span + length / 2.0)
    inertia = 2.0 * np.sqrt(2.0) * weld * length * (length**2 / 12.0 + (weld + height) ** 2 / 4.0)
    first, second = load / (np.sqrt(2.0) * weld * length), moment * half / inertia
    stress = np.sqrt(first**2 + first * second * length / half + second**2)
    buckling = (
        4.013 * elastic * height * width**3 / (6.0 * span**2)
        * (1.0 - height / (2.0 * span) * np.sqrt(elastic / (4.0 * shear_modulus)))
    )  # fmt: skip
    return [
        float(1.10471 * weld**2 * length + 0.04811 * height * width * (span + length)),
        float(stress) / 13_600.0 - 1.0,
        6.0 * load * span / (width * height**2) / 30_000.0 - 1.0,
        weld - width,
        4.0 * load * span**3 / (elastic * width * height**3) / 0.25 - 1.0,
        1.0 - float(buckling) / load,
    ]


CENTRES = np.array(
    [[0.2, 0.2, 0.3, 0.7], [0.8, 0.25, 0.7, 0.4], [0.25, 0.8, 0.75, 0.2], [0.75, 0.8, 0.2, 0.75]]
)
RADII = np.array([0.38, 0.3, 0.26, 0.22])
DEPTHS = np.array([0.6, 0.4, 0.2, 0.0])
"""Centre and radius of each feasible ball of `islands`, and the loss at its centre."""


def islands(x: Vector) -> list[float]:
    """Return a loss over four separate feasible balls; the smallest holds the best point."""
    squares = ((x - CENTRES) ** 2).sum(axis=1)
    losses = DEPTHS + squares / RADII**2
    return [float(losses.min()), float((squares - RADII**2).min())]


@dataclass(frozen=True, slots=True)
class ConstrainedFamily:
    """Describes one function.

    Attributes:
        bounds: range of each number.
        best: lowest feasible loss.
        optimum: a point with that loss, to four digits or more.
    """

    function: Callable[[Vector], list[float]]
    bounds: tuple[tuple[float, float], ...]
    best: float
    optimum: tuple[float, ...]


FAMILIES = (
    ConstrainedFamily(townsend, ((-2.25, 2.25), (-2.5, 1.75)), -2.0239884, (2.0052938, 1.1944509)),
    ConstrainedFamily(gramacy, ((0.0, 1.0), (0.0, 1.0)), 0.5997880, (0.1954, 0.4044)),
    ConstrainedFamily(
        mishras_bird, ((-10.0, 0.0), (-6.5, 0.0)), -106.7645367, (-3.1302468, -1.5821422)
    ),
    ConstrainedFamily(
        spring,
        ((0.05, 2.0), (0.25, 1.3), (2.0, 15.0)),
        0.0126652,
        (0.0516891, 0.3567177, 11.2889660),
    ),
    ConstrainedFamily(
        welded_beam,
        ((0.125, 10.0), (0.1, 10.0), (0.1, 10.0), (0.1, 10.0)),
        1.7248523,
        (0.2057296, 3.4704887, 9.0366239, 0.2057296),
    ),
    ConstrainedFamily(islands, ((0.0, 1.0),) * 4, 0.0, tuple(CENTRES[-1].tolist())),
)


@dataclass(frozen=True, slots=True)
class ConstrainedMetrics:
    """Names the loss and the constraints `g1 <= 0`, ... of a function of `x0`, `x1`, ..."""

    function: Callable[[Vector], list[float]]

    def __call__(self, params: Params) -> Mapping[str, float]:
        """Return all metrics at a point."""
        loss, *bounds = self.function(np.array(list(params.values()), dtype=np.float64))
        return {"loss": loss, **{f"g{i + 1}": value for i, value in enumerate(bounds)}}


def suite(seed: int = 0) -> list[Problem]:
    """Return six problems with known optima; the seed draws the defaults.

    The best point lies on the border of the feasible set, in `mishras_bird` and `islands` inside
    one of its valleys or pieces. `townsend` and `islands` catch a search that stays in the first
    feasible region; `spring` and `welded_beam` are engineering designs with four and five bounds.

    Reference: Townsend (2014), Constrained optimization in Chebfun; Gramacy et al. (2016),
    Modeling an augmented Lagrangian for blackbox constrained optimization; Mishra (2006), Some new
    test functions for global optimization; Coello, Montes (2002), Constraint-handling in genetic
    algorithms through the use of dominance-based tournament selection (spring and beam).
    """
    return [
        _problem(family, np.random.default_rng([seed, 0xC057, i]), seed)
        for i, family in enumerate(FAMILIES)
    ]


def _problem(family: ConstrainedFamily, rng: np.random.Generator, seed: int) -> Problem:
    space = Space({f"x{i}": Float(lo, hi) for i, (lo, hi) in enumerate(family.bounds)})
    default = sample(space, rng)
    evaluate = ConstrainedMetrics(family.function)
    n_bounds = len(evaluate(default)) - 1
    return Problem(
        f"constrained/{family.function.__name__}-{seed}",
        with_defaults(space, "", default),
        evaluate,
        constraints=tuple(MetricConstraint(f"g{i + 1}", "<=", 0.0) for i in range(n_bounds)),
        best_known=family.best,
    )
