"""Shifted and rotated test functions on a box, in the style of BBOB, in 2 to 20 dimensions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tunekit.bench.problem import Problem
from tunekit.spaces import Float, Params, Space

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

BOUND = 5.0
OPTIMUM = 4.0
"""Each coordinate of the optimum lies in [-OPTIMUM, OPTIMUM]."""
DIMENSIONS = (2, 3, 5, 8, 12, 20)


def sphere(z: Vector) -> float:
    """Return the squared distance of `z: float64[d]` from the optimum at 0."""
    return float(z @ z)


def ellipsoid(z: Vector) -> float:
    """Return a squared distance with axis weights from 1 to 1e6."""
    return float(_spread(6.0, len(z)) @ (z * z))


def different_powers(z: Vector) -> float:
    """Return a sum of powers from 2 to 6, which flattens towards the optimum."""
    exponents = 2.0 + 4.0 * np.arange(len(z)) / (len(z) - 1)
    return float(np.sqrt(np.sum(np.abs(z) ** exponents)))


def rastrigin(z: Vector) -> float:
    """Return a bowl with about 10 local optima along each axis."""
    return float(10.0 * np.sum(1.0 - np.cos(2 * np.pi * z)) + z @ z)


def rosenbrock(z: Vector) -> float:
    """Return a curved valley."""
    y = z + 1.0
    return float(np.sum(100.0 * (y[:-1] ** 2 - y[1:]) ** 2 + (y[:-1] - 1.0) ** 2))


def ackley(z: Vector) -> float:
    """Return a funnel in a rugged plain."""
    # expm1 gives exactly zero at the optimum, where the textbook form leaves 4e-16
    narrow = 20.0 * np.expm1(-0.2 * np.sqrt(np.mean(z * z)))
    return float(-narrow - np.e * np.expm1(np.mean(np.cos(2 * np.pi * z)) - 1.0))


def griewank(z: Vector) -> float:
    """Return a wide bowl under regular ripples (scaled from [-600, 600] to the box)."""
    y = 20.0 * z
    return float(y @ y / 4000.0 + 1.0 - np.prod(np.cos(y / np.sqrt(np.arange(1, len(y) + 1)))))


def levy(z: Vector) -> float:
    """Return a wavy valley whose waves grow away from the optimum."""
    w = z / 4.0  # the textbook's w - 1, so that sin(pi w) is exactly zero at the optimum
    inner = np.sum(w[:-1] ** 2 * (1.0 + 10.0 * np.sin(np.pi * w[:-1] + 1.0) ** 2))
    last = w[-1] ** 2 * (1.0 + np.sin(2 * np.pi * w[-1]) ** 2)
    return float(np.sin(np.pi * w[0]) ** 2 + inner + last)


FUNCTIONS: tuple[Callable[[Vector], float], ...] = (
    sphere,
    ellipsoid,
    different_powers,
    rastrigin,
    rosenbrock,
    ackley,
    griewank,
    levy,
)


@dataclass(frozen=True, slots=True, eq=False)
class Moved:
    """A test function shifted so that its optimum (value 0) is `center`, and rotated around it.

    Attributes:
        center: float64[d], coordinates of the optimum.
        rotation: float64[d, d], orthogonal.
    """

    function: Callable[[Vector], float]
    center: Vector
    rotation: Vector

    def __call__(self, params: Params) -> float:
        """Return the value at `x0` to `x<d-1>`."""
        x = np.array([params[f"x{i}"] for i in range(len(self.center))], dtype=np.float64)
        return self.function(self.rotation @ (x - self.center))

    @property
    def optimum(self) -> Params:
        """The point with value 0."""
        return Params({f"x{i}": float(v) for i, v in enumerate(self.center)})


def suite(seed: int = 0) -> list[Problem]:
    """Return six of the eight functions, one in each of 2, 3, 5, 8, 12 and 20 dimensions.

    The seed assigns functions to dimensions and draws the shifts and rotations.

    Reference: Hansen, Finck, Ros, Auger (2009), Real-Parameter Black-Box Optimization
    Benchmarking 2009: Noiseless Functions Definitions. Ackley, Griewank and Levy: Surjanovic,
    Bingham, Virtual Library of Simulation Experiments.
    """
    rng = np.random.default_rng([seed, 0xBB0B])
    order = rng.permutation(len(FUNCTIONS))[: len(DIMENSIONS)]
    return [_problem(FUNCTIONS[k], d, rng, seed) for k, d in zip(order, DIMENSIONS, strict=True)]


def _problem(
    function: Callable[[Vector], float], d: int, rng: np.random.Generator, seed: int
) -> Problem:
    center = np.round(rng.uniform(-OPTIMUM, OPTIMUM, d), 6)  # fewer digits than a Float holds
    moved = Moved(function, center, _rotation(d, rng))
    space = Space({f"x{i}": Float(-BOUND, BOUND) for i in range(d)})
    return Problem(f"bbob/{function.__name__}-{d}d-{seed}", space, moved, best_known=0.0)


def _rotation(d: int, rng: np.random.Generator) -> Vector:
    """Return float64[d, d], a uniformly random orthogonal matrix."""
    q, r = np.linalg.qr(rng.standard_normal((d, d)))
    return np.asarray(q * np.sign(np.diag(r)), dtype=np.float64)


def _spread(decades: float, d: int) -> Vector:
    return np.logspace(0.0, decades, d)
