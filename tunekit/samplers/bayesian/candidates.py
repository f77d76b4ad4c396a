"""Generates candidates on the tree: random points, mutations of good ones, and local moves.

Every method returns canonical rows of the unit cube (see `tunekit.spaces.canonical`).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from scipy.optimize import Bounds, minimize

from tunekit.samplers.base import samples
from tunekit.spaces import Params
from tunekit.spaces.canonical import Canonical
from tunekit.spaces.encode import Encoder
from tunekit.spaces.point_columns import PointColumns

if TYPE_CHECKING:
    from numpy.typing import NDArray

STEPS = (0.2, 0.05)
"""Standard deviations of a numeric mutation, chosen with equal probability."""

P_FROM_BEST = 0.6
"""Probability that nodes opened by a flipped switch take the values of the best trial there."""

MAX_ROUNDS = 50

LEAST_SHARE = 0.05
"""Minimum share of random rows that satisfies the constraints to go on drawing at random."""

N_CLIMBS = 20
"""L-BFGS iterations, for all starts together."""


Climb: TypeAlias = (
    "Callable[[NDArray[np.float64]], tuple[NDArray[np.float64], NDArray[np.float64]]]"
)
"""Maps `(m, d)` rows that keep their branches to `(m,)` scores and `(m, d)` gradients."""


class Candidates:
    """Generates rows of a space that keep fixed values and satisfy its constraints.

    Args:
        encoder: of the space.
        fixed: values that every row keeps.
        rng: for all draws.
    """

    def __init__(
        self,
        encoder: Encoder,
        fixed: Params | None,
        rng: np.random.Generator,
    ) -> None:
        self.encoder = encoder
        self.rng = rng
        self.canonical = Canonical(encoder)
        self.is_number = np.array([c.kind != "categorical" for c in encoder.columns], dtype=bool)
        self.is_switch = _switches(encoder)
        self._kept = fixed
        self._fixed = _fixed_places(encoder, fixed or Params())

    def random(self, n: int, *, known: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """Return `(n, d)` rows drawn uniformly.

        Args:
            n: number of rows.
            known: `(k, d)` rows known to satisfy the constraints.

        Raises:
            InvalidSpace: no row was found that satisfies the constraints of the space.
        """
        found: list[NDArray[np.float64]] = []
        total = 0
        for _ in range(MAX_ROUNDS):
            rows = self.valid(self.rng.random((n, len(self.encoder))))
            found.append(rows)
            total += len(rows)
            if total >= n or total < LEAST_SHARE * n * len(found):
                break
        if total < n:
            found.append(self._feasible(n - total, known))
        return np.concatenate(found)[:n]

    def _feasible(self, n: int, known: NDArray[np.float64] | None) -> NDArray[np.float64]:
        """Return `(n, d)` rows drawn from the values that the constraints allow."""
        rows = self.encoder.decode(known) if known is not None else ()
        points = samples(self.encoder.space, self.rng, self._kept, known=rows, n=n)
        return self.encoder.encode(islice(points, n))

    def valid(self, full: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return `(k, d)` canonical versions of the `(n, d)` rows that violate no constraint."""
        full = full.copy()
        for column, place in self._fixed.items():
            full[:, column] = place
        x = self.canonical(full)
        if not self.encoder.space.compiled_constraints or not len(x):
            return x
        points = PointColumns(self.encoder, np.where(np.isnan(x), 0.5, x))
        return x[points.allowed(self.encoder.space.compiled_constraints)]

    def mutations(
        self, good: NDArray[np.float64], n: int, *, changes: float = 0.5
    ) -> NDArray[np.float64]:
        """Return about `(n, d)` rows that differ from a good one in a few nodes.

        Args:
            good: `(k, d)` rows, the best first.
            n: number of attempts; rows that violate a constraint are dropped.
            changes: probability of exactly one changed node.
        """
        if not len(good):
            return np.empty((0, len(self.encoder)))
        base = good[self.rng.integers(len(good), size=n)]
        full = np.where(np.isnan(base), self._fillings(good, n), base)
        chosen = self._nodes_to_change(base, changes)
        steps = np.asarray(STEPS)[self.rng.integers(len(STEPS), size=full.shape)]
        moved = reflected(full + steps * self.rng.standard_normal(full.shape))
        drawn = self.rng.random(full.shape)
        # A numeric switch (the count of a stack) has few values: half of its changes are redrawn.
        is_drawn = ~self.is_number | (self.is_switch & (self.rng.random(full.shape) < 0.5))
        return self.valid(np.where(chosen, np.where(is_drawn, drawn, moved), full))

    def around(self, rows: NDArray[np.float64], n: int, step: float) -> NDArray[np.float64]:
        """Return about `(n * m, d)` rows: `n` moves of each `(m, d)` row's numbers in its branch.

        Half of the moves change all numbers, the other half about a third of them.
        """
        full = np.repeat(rows, n, axis=0)
        moving = self.is_number & ~self.is_switch & ~np.isnan(full)
        some = self.rng.random((len(full), 1)) < 0.5
        moving &= some | (self.rng.random(full.shape) < 0.35)
        moved = reflected(full + step * self.rng.standard_normal(full.shape))
        return self.valid(np.where(moving, moved, full))

    def climbed(self, rows: NDArray[np.float64], climb: Climb) -> NDArray[np.float64]:
        """Return the `(m, d)` rows after L-BFGS moved their numbers uphill in their branches."""
        moving = self.is_number & ~self.is_switch & ~np.isnan(rows)
        for column in self._fixed:
            moving[:, column] = False
        if not moving.any():
            return rows[:0]
        low, high = self.box(rows)

        def target(u: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            x = rows.copy()
            x[moving] = u
            values, gradient = climb(x)
            return -float(values.sum()), -gradient[moving]

        u = minimize(
            target,
            rows[moving],
            jac=True,
            method="L-BFGS-B",
            bounds=Bounds(low[moving], high[moving]),
            options={"maxiter": N_CLIMBS},
        ).x
        full = rows.copy()
        full[moving] = u
        return self.valid(full)

    def box(self, rows: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return `(n, d)` lower and upper bounds for the moves of `(n, d)` rows."""
        return np.zeros(rows.shape), np.ones(rows.shape)

    def _fillings(self, good: NDArray[np.float64], n: int) -> NDArray[np.float64]:
        """Return `(n, d)` values for nodes that a mutation opens."""
        full = self.rng.random((n, len(self.encoder)))
        donor = np.full(len(self.encoder), np.nan)
        for row in good[::-1]:  # the best row with a node comes last and wins
            donor = np.where(np.isnan(row), donor, row)
        use = (self.rng.random((n, 1)) < P_FROM_BEST) & ~np.isnan(donor)
        return np.where(use, donor, full)

    def _nodes_to_change(self, base: NDArray[np.float64], one: float) -> NDArray[np.bool_]:
        """Return `(n, d)` flags of the active nodes to change: one, two, or about a fifth."""
        active = ~np.isnan(base)
        for column in self._fixed:
            active[:, column] = False
        key = np.where(active, self.rng.random(base.shape), np.inf)
        rank = np.argsort(np.argsort(key, axis=1), axis=1)
        u = self.rng.random(len(base))
        many = np.maximum(3, np.ceil(0.2 * active.sum(axis=1)))
        count = np.where(u < one, 1, np.where(u < one + 0.3, 2, many))
        return active & (rank < count[:, None])


def reflected(u: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return `(...)` coordinates reflected at the ends of `[0, 1]`."""
    u = np.abs(u) % 2.0
    return np.where(u > 1.0, 2.0 - u, u)


def _switches(encoder: Encoder) -> NDArray[np.bool_]:
    """Return `(d,)` flags of the columns that other parameters depend on."""
    parents = {c.parent for p in encoder.space for c in p.conditions}
    return np.array([c.path in parents for c in encoder.columns], dtype=bool)


def _fixed_places(encoder: Encoder, fixed: Params) -> dict[int, float]:
    paths = {c.path: j for j, c in enumerate(encoder.columns)}
    by_path = encoder.space.by_path
    return {paths[k]: by_path[k].domain.to_unit(v) for k, v in fixed.items() if k in paths}
