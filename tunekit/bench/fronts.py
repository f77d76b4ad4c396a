"""Problems with two and three objectives, some of whose feasible sets are in pieces."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tunekit.bench.problem import Problem
from tunekit.bench.trees.draw import with_defaults
from tunekit.errors import InvalidArgument
from tunekit.records import MetricConstraint, ObjectiveSpec
from tunekit.samplers.base import sample
from tunekit.spaces import Float, Params, Space

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

RADIUS = 0.2
"""Radius of the feasible balls of C2-DTLZ2."""


def zdt1(x: Vector) -> list[float]:
    """Return two losses with a convex front; `x: float64[d]` in `[0, 1]`."""
    g = 1.0 + 9.0 * float(np.mean(x[1:]))
    return [float(x[0]), g * (1.0 - float(np.sqrt(x[0] / g)))]


def zdt2(x: Vector) -> list[float]:
    """Return two losses with a concave front."""
    g = 1.0 + 9.0 * float(np.mean(x[1:]))
    return [float(x[0]), g * (1.0 - float(x[0] / g) ** 2)]


def zdt3(x: Vector) -> list[float]:
    """Return two losses with a front of five pieces."""
    g = 1.0 + 9.0 * float(np.mean(x[1:]))
    share = float(x[0] / g)
    return [float(x[0]), g * (1.0 - share**0.5 - share * float(np.sin(10.0 * np.pi * x[0])))]


def dtlz2(x: Vector, n_objectives: int = 2) -> list[float]:
    """Return losses whose front is a part of the unit sphere, at distances of 0.5."""
    angles, distances = x[: n_objectives - 1] * np.pi / 2.0, x[n_objectives - 1 :] - 0.5
    radius = 1.0 + float(distances @ distances)
    losses = []
    for i in range(n_objectives):
        turned = angles[: n_objectives - 1 - i]
        last = np.sin(angles[n_objectives - 1 - i]) if i else 1.0
        losses.append(radius * float(np.prod(np.cos(turned))) * float(last))
    return losses


def dtlz2_of_three(x: Vector) -> list[float]:
    """Return three losses."""
    return dtlz2(x, 3)


def dtlz2_of_four(x: Vector) -> list[float]:
    """Return four losses."""
    return dtlz2(x, 4)


def dtlz2_of_five(x: Vector) -> list[float]:
    """Return five losses."""
    return dtlz2(x, 5)


def c2_dtlz2(x: Vector) -> list[float]:
    """Return two losses and a constraint: feasible are three balls around points of the front."""
    f1, f2 = dtlz2(x)
    corners = [(f1 - 1.0) ** 2 + f2**2, f1**2 + (f2 - 1.0) ** 2]
    middle = (f1 - 0.5**0.5) ** 2 + (f2 - 0.5**0.5) ** 2
    return [f1, f2, min(*corners, middle) - RADIUS**2]


def bnh(x: Vector) -> list[float]:
    """Return two losses and two constraints of Binh and Korn."""
    a, b = (float(v) for v in x)
    return [
        4.0 * a**2 + 4.0 * b**2,
        (a - 5.0) ** 2 + (b - 5.0) ** 2,
        (a - 5.0) ** 2 + b**2 - 25.0,
        7.7 - (a - 8.0) ** 2 - (b + 3.0) ** 2,
    ]


def srn(x: Vector) -> list[float]:
    """Return two losses and two constraints of Srinivas and Deb."""
    a, b = (float(v) for v in x)
    return [
        2.0 + (a - 2.0) ** 2 + (b - 1.0) ** 2,
        9.0 * a - (b - 1.0) ** 2,
        a**2 + b**2 - 225.0,
        a - 3.0 * b + 10.0,
    ]


@dataclass(frozen=True, slots=True)
class FrontFamily:
    """Describes one function.

    Attributes:
        bounds: range of each number.
        reference: reference point.
        best: hypervolume of the true front.
        moves: `flip` lets the seed mirror numbers, so that the best ends of ranges differ;
            `shift` moves the best distances inside; empty leaves the function as published.
    """

    function: Callable[[Vector], list[float]]
    bounds: tuple[tuple[float, float], ...]
    reference: tuple[float, ...]
    best: float
    moves: str = ""


UNIT = ((0.0, 1.0),) * 6
ZDT_REFERENCE = (1.1, 4.0)

FAMILIES = (
    # Integrals of the published fronts; the tests compare them with fine grids.
    FrontFamily(zdt1, UNIT, ZDT_REFERENCE, 1.1 * 4.0 - 1.0 / 3.0, "flip"),
    FrontFamily(zdt2, UNIT, ZDT_REFERENCE, 1.1 * 4.0 - 2.0 / 3.0, "flip"),
    FrontFamily(zdt3, UNIT, ZDT_REFERENCE, 4.521763, "flip"),
    FrontFamily(dtlz2, UNIT, (1.1, 1.1), 1.21 - np.pi / 4.0, "shift"),
    FrontFamily(dtlz2_of_three, UNIT, (1.1,) * 3, 1.331 - np.pi / 6.0, "shift"),
    FrontFamily(c2_dtlz2, UNIT, (1.1, 1.1), 0.382334, "shift"),
    FrontFamily(bnh, ((0.0, 5.0), (0.0, 3.0)), (140.0, 50.0), 5285.34),
    FrontFamily(srn, ((-20.0, 20.0),) * 2, (250.0, 50.0), 42690.0),
)


NAMES: Mapping[Callable[..., list[float]], str] = {
    dtlz2_of_three: "dtlz2_3",
    dtlz2_of_four: "dtlz2_4",
    dtlz2_of_five: "dtlz2_5",
}
MANY = (4, 5)


@dataclass(frozen=True, slots=True, eq=False)
class FrontMetrics:
    """Names the losses `f1`, `f2`, ... and the constraints `g1 <= 0`, ... of a moved function.

    Attributes:
        flipped: bool[d], numbers `x` that count as `1 - x`.
        shift: float64[d], added to the numbers.
    """

    function: Callable[[Vector], list[float]]
    n_objectives: int
    flipped: NDArray[np.bool_]
    shift: Vector

    def __call__(self, params: Params) -> Mapping[str, float]:
        """Return all metrics at a point."""
        x = np.array([params[f"x{i}"] for i in range(len(self.shift))], dtype=np.float64)
        values = self.function(np.where(self.flipped, 1.0 - x, x) + self.shift)
        losses, bounds = values[: self.n_objectives], values[self.n_objectives :]
        named = {f"f{i + 1}": value for i, value in enumerate(losses)}
        return {**named, **{f"g{i + 1}": value for i, value in enumerate(bounds)}}


def suite(seed: int = 0, *, n_objectives: int | None = None) -> list[Problem]:
    """Return eight problems; the seed draws defaults and moves the optima.

    `zdt1` to `zdt3` and `dtlz2` have six numbers. On `zdt` the front lies at ends of their
    ranges, which the seed mirrors; `zdt3` has five pieces. The feasible set of `c2_dtlz2` has
    three pieces; `bnh` and `srn` have two constraints.

    Args:
        seed: 0 or more.
        n_objectives: 4 or 5 returns `dtlz2` with so many objectives and four numbers more instead.

    Reference: Zitzler, Deb, Thiele (2000), Comparison of multiobjective evolutionary algorithms;
    Deb, Thiele, Laumanns, Zitzler (2005), Scalable test problems; Jain, Deb (2014), An
    evolutionary many-objective optimization algorithm, part II (C2-DTLZ2, here with a radius that
    leaves three separate pieces of two objectives); Binh, Korn (1997); Srinivas, Deb (1994).
    """
    if n_objectives is not None:
        if n_objectives not in MANY:
            raise InvalidArgument(f"fronts: n_objectives={n_objectives!r}, expected 4 or 5.")
        rng = np.random.default_rng([seed, 0xF407, 100 + n_objectives])
        return [_problem(_many(n_objectives), rng, seed)]
    return [
        _problem(family, np.random.default_rng([seed, 0xF407, i]), seed)
        for i, family in enumerate(FAMILIES)
    ]


def _many(m: int) -> FrontFamily:
    """Return `dtlz2` with `m` objectives; an orthant of the unit ball is missing from the cube."""
    ball = math.pi ** (m / 2) / math.gamma(m / 2 + 1)
    bounds = ((0.0, 1.0),) * (m + 4)
    function = dtlz2_of_four if m == 4 else dtlz2_of_five
    return FrontFamily(function, bounds, (1.1,) * m, 1.1**m - ball / 2**m, "shift")


def _problem(family: FrontFamily, rng: np.random.Generator, seed: int) -> Problem:
    d, m = len(family.bounds), len(family.reference)
    flipped, shift = np.zeros(d, dtype=bool), np.zeros(d)
    if family.moves == "flip":
        flipped = rng.random(d) < 0.5
    elif family.moves == "shift":
        shift[m - 1 :] = np.round(rng.uniform(-0.3, 0.3, d - m + 1), 6)
    evaluate = FrontMetrics(family.function, m, flipped, shift)
    space = Space({f"x{i}": Float(lo, hi) for i, (lo, hi) in enumerate(family.bounds)})
    default = sample(space, rng)
    n_bounds = len(evaluate(default)) - m
    name = NAMES.get(family.function, family.function.__name__)
    return Problem(
        f"fronts/{name}-{seed}",
        with_defaults(space, "", default),
        evaluate,
        objectives=tuple(ObjectiveSpec(f"f{i + 1}") for i in range(m)),
        constraints=tuple(MetricConstraint(f"g{i + 1}", "<=", 0.0) for i in range(n_bounds)),
        best_known=family.best,
        reference=family.reference,
        tags={"pool": "5000" if m < 4 else "300"},
    )
