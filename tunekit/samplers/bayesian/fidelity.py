"""Chooses the fidelity of a point: the cheapest run that still informs about its full run.

The point itself is chosen at the target fidelity. A cheaper trial is worth the share of the
target's variance that it removes, per unit of cost. Once a cheap trial has been run, another one
removes little, so the same region is proposed again at a higher fidelity.

Reference: Kandasamy, Dasarathy, Schneider and Póczos, 2017, "Multi-fidelity Bayesian optimisation
with continuous approximations", arXiv 1703.06240 (BOCA): the point by the target, then the
fidelity by information and cost. The measure is that of Song, Chen and Yue, 2019, "A general
framework for multi-fidelity Bayesian optimization with Gaussian processes", arXiv 1811.00755,
eq. 5: information over cost, where a normal's information is its reduction of variance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tunekit.samplers.bayesian.fidelity_levels import FidelityLevels, fidelity_levels
from tunekit.samplers.bayesian.fitting import fitted
from tunekit.spaces import Scalar
from tunekit.spaces.encode import Encoder
from tunekit_surrogates.tree_gp import HyperparameterPriors, TreeGP

LEAST = 0.2
"""Minimum information of a cheaper run, as a share of a full run's information."""

STRETCH = 8.0
"""Length scale of the fidelity relative to other parameters: points that do well at a low
fidelity rarely do badly at the target."""

MIN_WHOLE = 5
"""Minimum number of full runs to test whether cheaper runs predict them."""

PATIENCE = 3
LEAST_STEP = 0.05
"""After `PATIENCE` full runs without an improvement by `LEAST_STEP` of the distance from the best
to the median, cheaper runs are doubted."""

SHARE = 0.5
"""Minimum share of the total spending that goes into full runs, whatever the model predicts."""


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

    def share(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
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


@dataclass(frozen=True, slots=True)
class FidelityChoice:
    """A point with the fidelity to run it at.

    Attributes:
        row: `(d,)` the point at that fidelity.
        values: value of each axis of the fidelity.
        whole: the largest that the trial may have.
        told: share of the target's variance that the run removes.
        cost: cost relative to a full run.
    """

    fidelity: Fidelity
    row: NDArray[np.float64]
    values: tuple[float, ...]
    whole: tuple[float, ...]
    told: float
    cost: float

    def explained(self, evidence: dict[str, Any], why: str) -> tuple[dict[str, Any], str]:
        """Return the evidence and explanation of the point, extended by its fidelity."""
        fidelity, values = self.fidelity, self.values
        place = values[0] if len(values) == 1 else dict(zip(fidelity.paths, values, strict=True))
        at = {"at": place, "told": round(self.told, 4), "relative_cost": round(self.cost, 4)}
        text = f"{why}, at {fidelity.shown(values)}"
        if values != self.whole:
            of = f"{self.whole[0]:g}" if len(values) == 1 else fidelity.shown(self.whole)
            text += (
                f" of {of}, which removes {self.told:.0%} of its variance for "
                f"{self.cost:.0%} of its cost"
            )
        return {**evidence, "fidelity": at}, text


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


class _Learnt(Protocol):
    """The fitted model of a study; see `tunekit.samplers.bayesian.models`."""

    @property
    def encoder(self) -> Encoder: ...

    @property
    def data(self) -> _Observed: ...

    @property
    def gps(self) -> Sequence[TreeGP]: ...


class _Observed(Protocol):
    @property
    def x(self) -> NDArray[np.float64]: ...

    @property
    def fidelity(self) -> Fidelity | None: ...


def chosen(
    model: _Learnt,
    row: NDArray[np.float64],
    pending: NDArray[np.float64],
    relative: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    *,
    fixed: Mapping[str, Scalar] | None = None,
) -> FidelityChoice:
    """Return the fidelity at which to run a point that was chosen at the target.

    Args:
        model: of a space with a fidelity; without a process the point runs at the target.
        row: `(d,)` the point.
        pending: `(p, d)` rows of running trials.
        relative: maps rows to their `(m,)` costs relative to the same rows at the target.
        fixed: values that the trial has to keep, by path.
    """
    fidelity, encoder, gps = model.data.fidelity, model.encoder, model.gps
    assert fidelity is not None
    levels = fidelity.held(fixed or {})
    rows = np.concatenate([fidelity.at(row[None], values) for values in levels])
    cost, before = relative(rows), np.concatenate([model.data.x, pending])
    told = np.array([_told(gp, rows, pending) for gp in gps])
    share = told.mean(axis=0) if len(gps) else np.eye(len(rows))[-1]
    allowed = (share >= LEAST * share[-1]) & _leaves_enough(fidelity, before, relative, cost)
    known = {r.round(9).tobytes() for r in before}
    points = encoder.decode(rows)
    allowed &= [r.round(9).tobytes() not in known for r in rows]
    allowed &= [not encoder.space.violated(p) for p in points]
    allowed[-1] = True
    k = int(np.argmax(np.where(allowed, share / cost, -np.inf)))
    return FidelityChoice(
        fidelity, rows[k], levels[k], levels[-1], float(share[k]), float(cost[k])
    )


def _leaves_enough(
    fidelity: Fidelity,
    before: NDArray[np.float64],
    relative: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    cost: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Return `(k,)` flags of the levels that leave full runs their share of the spending."""
    spent, whole = relative(before), fidelity.is_target(before)
    below, full = float(spent[~whole].sum()), float(spent[whole].sum())
    return np.asarray(SHARE * (below + cost) <= (1.0 - SHARE) * full)


def _told(
    gp: TreeGP, rows: NDArray[np.float64], pending: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return `(m,)` shares of the last row's variance that a value at each row removes.

    Observing row i with noise s^2 lowers the variance at row t by `cov_it^2 / (var_i + s^2)`.
    """
    noise = float(np.exp(gp.parameters.noise))
    if len(pending):
        gp = gp.with_data(pending, gp.predict(pending)[0], noise=noise)
    _, cov = gp.joint(rows)
    var = np.maximum(np.diag(cov), 1e-12)
    return np.asarray(np.minimum(cov[:, -1] ** 2 / ((var + noise) * var[-1]), 1.0))
