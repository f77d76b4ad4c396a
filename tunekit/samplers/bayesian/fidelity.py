"""The fidelity of a space in encoded rows, and whether cheaper runs are to be believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np
from numpy.typing import NDArray

from tunekit.samplers.bayesian.fidelity_levels import FidelityLevels, fidelity_levels
from tunekit.samplers.bayesian.fitting import fitted
from tunekit.spaces import Scalar
from tunekit.spaces.encode import Encoder
from tunekit_surrogates.tree_gp import HyperparameterPriors, TreeGP

STRETCH = 8.0
"""Length scale of the fidelity relative to other parameters: points that do well at a low
fidelity rarely do badly at the target."""

MIN_WHOLE = 4
"""Minimum number of full runs to test whether cheaper runs predict them."""

PATIENCE = 2
LEAST_STEP = 0.05
"""After `PATIENCE` full runs without an improvement by `LEAST_STEP` of the distance from the best
to the median, cheaper runs are doubted."""


@dataclass(frozen=True)
class Fidelity(FidelityLevels):
    """The fidelity of a space, in encoded rows.

    Attributes:
        columns: the columns of its axes in encoded rows.
    """

    columns: tuple[int, ...] = field(kw_only=True)

    @classmethod
    def of(cls, encoder: Encoder) -> Fidelity | None:
        """Return the fidelity of a space, `None` if it has none."""
        found = fidelity_levels(encoder.space)
        if found is None:
            return None
        columns = tuple(encoder.index(path) for path in found.paths)
        return cls(found.paths, found.domains, found.is_free, columns=columns)

    def raised(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the `(m, d)` rows moved to the target fidelity, shape `(m, d)`."""
        return self.at(x, self.target)

    def at(self, x: NDArray[np.float64], values: Sequence[float]) -> NDArray[np.float64]:
        """Return the `(m, d)` rows moved to a value of each axis, shape `(m, d)`."""
        moved = x.copy()
        moved[:, self.columns] = self._units(values)
        return moved

    def is_target(self, x: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return `(m,)` flags of the `(m, d)` rows at the target fidelity."""
        near = np.isclose(x[:, self.columns], self._units(self.target), atol=1e-9)
        return np.asarray(near.all(axis=1))

    def shares(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return `(m,)` fidelities of `(m, d)` rows as shares of the target.

        That of several axes is the product of theirs, as compute is of parameters and tokens.
        """
        share = np.ones(len(x))
        for j, domain, target in zip(self.columns, self.domains, self.target, strict=True):
            share *= np.array([domain.from_unit(u) for u in x[:, j]], dtype=np.float64) / target
        return share

    def held(self, fixed: Mapping[str, Scalar]) -> list[tuple[float, ...]]:
        """Return the levels whose axes keep the values in `fixed`; the last is the largest."""
        free = zip(self.paths, self.by_axis, strict=True)
        return list(
            product(*(levels if p not in fixed else (_float(fixed[p]),) for p, levels in free))
        )

    def shown(self, values: Sequence[float]) -> str:
        """Return a value of each axis as text."""
        return ", ".join(f"{p}={v:g}" for p, v in zip(self.paths, values, strict=True))

    def _units(self, values: Sequence[float]) -> list[float]:
        return [domain.to_unit(v) for domain, v in zip(self.domains, values, strict=True)]


def _float(value: Scalar) -> float:
    assert isinstance(value, int | float)
    return float(value)


def may_win(encoder: Encoder, x: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return `(m,)` flags of the rows that count as results: those at the target fidelity."""
    fidelity = Fidelity.of(encoder)
    return np.ones(len(x), dtype=bool) if fidelity is None else fidelity.is_target(x)


def priors_of(fidelity: Fidelity | None) -> HyperparameterPriors | None:
    """Return the priors of a process that stretches the fidelity; `None` without a fidelity."""
    stretched = () if fidelity is None else tuple((j, STRETCH) for j in fidelity.columns)
    return None if fidelity is None else HyperparameterPriors(stretched=stretched)


def misled(fidelity: Fidelity, gp: TreeGP) -> bool:
    """Return whether full runs are predicted better without the cheaper runs.

    Each full run is predicted from all other trials, and from the other full runs alone.

    Args:
        fidelity: of the space.
        gp: process of all trials.
    """
    whole = fidelity.is_target(gp.x)
    if whole.all() or whole.sum() < MIN_WHOLE:
        return False
    with_all = gp.y[whole] - gp.leave_one_out()[0][whole]
    middle, spread = float(gp.y[whole].mean()), float(gp.y[whole].std())
    if spread < 1e-9:
        return False
    alone = fitted(gp.structure, gp.x[whole], (gp.y[whole] - middle) / spread)
    without = spread * (alone.y - alone.leave_one_out()[0])
    return bool(np.mean(without**2) < np.mean(with_all**2))


def stalled(losses: NDArray[np.float64]) -> bool:
    """Return whether to base the next proposal on the full runs alone.

    While full runs do not improve, this holds every second time: cheaper runs may mislead about a
    whole region, and otherwise no full run there would ever correct them.

    Args:
        losses: `(n,)` losses of the full runs, by trial number.
    """
    if len(losses) < MIN_WHOLE:
        return False
    step = LEAST_STEP * float(np.median(losses) - losses.min())
    last = int(np.flatnonzero(losses <= losses.min() + step)[0])
    since = len(losses) - 1 - last
    return since >= PATIENCE and (since - PATIENCE) % 2 == 0
