"""How thoroughly to run a point: as cheaply as tells much of what a full run of it would give.

The point itself is chosen at the target fidelity. A trial of it at less is worth the share of the
target's variance that it would take away, for each unit of cost. Once that is known there, little
is left to learn cheaply and the same region is proposed again at more: the promising climb.

Reference: Kandasamy, Dasarathy, Schneider and Póczos, 2017, "Multi-fidelity Bayesian optimisation
with continuous approximations", arXiv 1703.06240 (BOCA): the point by the target, then the
fidelity by what it tells and costs. The measure is that of Song, Chen and Yue, 2019, "A general
framework for multi-fidelity Bayesian optimization with Gaussian processes", arXiv 1811.00755,
eq. 5: information over cost, for a normal one reduction of variance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tunekit.samplers.bayesian.fitting import fitted
from tunekit.spaces import Float, Int
from tunekit.spaces.encode import Encoder
from tunekit_surrogates.tree_gp import Priors, TreeGP

RATIO = 3.0
"""From one fidelity to the next; that of successive halving."""

MAX_LEVELS = 5

LEAST = 0.2
"""Share of what a full run would tell that a cheaper one has to tell."""

STRETCH = 8.0
"""Length scale of the fidelity in those of other parameters: what is good at less is rarely bad
at the target."""

MIN_WHOLE = 5
"""Full runs from which it is asked whether the others tell anything of them."""

PATIENCE = 3
LEAST_STEP = 0.05
"""So many full runs without one that is better by this share of the range from the best to the
median, and the others are doubted."""

SHARE = 0.5
"""Of all that is spent, so much goes into full runs at least, whatever the model thinks."""


@dataclass(frozen=True)
class Fidelity:
    """The parameter of a space that is its fidelity.

    Attributes:
        path: of the parameter.
        column: of its places in encoded rows.
        domain: its values; the largest is the target.
        is_free: no constraint of the space names it.
    """

    path: str
    column: int
    domain: Float | Int
    is_free: bool = True

    @classmethod
    def of(cls, encoder: Encoder) -> Fidelity | None:
        """Return the fidelity of a space, if it has one."""
        path = encoder.space.fidelity
        if path is None:
            return None
        domain = encoder.space.by_path[path].domain
        assert isinstance(domain, Float | Int)
        named = {p for c in encoder.space.compiled_constraints for p in c.names.values()}
        return cls(path, encoder.index(path), domain, path not in named)

    @cached_property
    def levels(self) -> tuple[float, ...]:
        """The fidelities that trials run at, the least first; the last is the target."""
        target = float(self.domain.default_value())
        wanted = [target / RATIO**k for k in range(MAX_LEVELS)]
        inside = [v for v in wanted if v >= self.domain.lo]
        if len(inside) == 1:  # a narrow range has its ends
            inside.append(float(self.domain.lo))
        found = [self.domain.from_unit(min(self.domain.to_unit(v), 1.0)) for v in inside]
        return tuple(sorted(set(found)))

    @property
    def target(self) -> float:
        """Return the largest value."""
        return self.levels[-1]

    def raised(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return rows at the target."""
        return self.at(x, self.target)

    def at(self, x: NDArray[np.float64], value: float) -> NDArray[np.float64]:
        """Return rows at another fidelity."""
        moved = x.copy()
        moved[:, self.column] = self.domain.to_unit(value)
        return moved

    def is_target(self, x: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return `(m,)` whether rows are at the target."""
        return np.isclose(x[:, self.column], self.domain.to_unit(self.target), atol=1e-9)

    def share(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return `(m,)` fidelities of rows, as shares of the target."""
        values = [self.domain.from_unit(u) for u in x[:, self.column]]
        return np.array(values, dtype=np.float64) / self.target

    def first(self, number: int) -> float:
        """Return the fidelity of a trial before there is a model: all below the target in turn."""
        below = self.levels[:-1] if self.is_free else ()
        return below[number % len(below)] if below else self.target


def may_win(encoder: Encoder, x: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return `(m,)` whether rows count as results: those at the target fidelity, if any are."""
    fidelity = Fidelity.of(encoder)
    return np.ones(len(x), dtype=bool) if fidelity is None else fidelity.is_target(x)


def priors_of(fidelity: Fidelity | None) -> Priors | None:
    """Return the priors of a process for a space with a fidelity; `None` for the usual ones."""
    return None if fidelity is None else Priors(stretched=((fidelity.column, STRETCH),))


@dataclass(frozen=True, slots=True)
class FidelityChoice:
    """The fidelity that a point is run at.

    Attributes:
        row: the point, at that fidelity.
        value: of the fidelity.
        told: share of the target's variance that it takes away.
        cost: as a share of the cost of a full run.
    """

    fidelity: Fidelity
    row: NDArray[np.float64]
    value: float
    told: float
    cost: float

    def explained(self, evidence: dict[str, Any], why: str) -> tuple[dict[str, Any], str]:
        """Return the evidence of the point and the sentence, with why it is run so thoroughly."""
        at = {"at": self.value, "told": round(self.told, 4), "relative_cost": round(self.cost, 4)}
        fidelity = self.fidelity
        text = f"{why}, at {fidelity.path}={self.value:g}"
        if self.value < fidelity.target:
            text += (
                f" of {fidelity.target:g}, which tells {self.told:.0%} of it for "
                f"{self.cost:.0%} of its cost"
            )
        return {**evidence, "fidelity": at}, text


def misled(fidelity: Fidelity, gp: TreeGP) -> bool:
    """Return whether full runs are foreseen better without what ran at less.

    Each full run is predicted from all other trials, and from the other full runs alone.

    Args:
        fidelity: of the space.
        gp: of all trials.
    """
    whole = fidelity.is_target(gp.x)
    if whole.all() or whole.sum() < MIN_WHOLE:
        return False
    with_all = gp.y[whole] - gp.leave_one_out()[0][whole]
    middle, spread = float(gp.y[whole].mean()), float(gp.y[whole].std())
    if spread < 1e-9:
        return False
    alone, _ = fitted(gp.structure, gp.x[whole], (gp.y[whole] - middle) / spread)
    without = spread * (alone.y - alone.leave_one_out()[0])
    return bool(np.mean(without**2) < np.mean(with_all**2))


def stalled(losses: NDArray[np.float64]) -> bool:
    """Return whether it is time to propose once from the full runs alone.

    As long as full runs do not get better, it is every second time: what runs at less say of a
    whole region may be wrong, and no full run would ever be there to show it.

    Args:
        losses: `(n,)` of the full runs, by their numbers.
    """
    if len(losses) < MIN_WHOLE:
        return False
    step = LEAST_STEP * float(np.median(losses) - losses.min())
    last = int(np.flatnonzero(losses <= losses.min() + step)[0])
    since = len(losses) - 1 - last
    return since >= PATIENCE and (since - PATIENCE) % 2 == 0


class _Learnt(Protocol):
    """What a study has taught; see `tunekit.samplers.bayesian.sampler`."""

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
) -> FidelityChoice:
    """Return how thoroughly to run a point that was chosen at the target.

    Args:
        model: of a space with a fidelity; without a process a point is run fully.
        row: `(d,)` the point.
        pending: `(p, d)` rows whose values will be known soon.
        relative: gives `(m,)` costs of rows, as shares of the cost of the same at the target.
    """
    fidelity, encoder, gps = model.data.fidelity, model.encoder, model.gps
    assert fidelity is not None
    rows = np.concatenate([fidelity.at(row[None], v) for v in fidelity.levels])
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
    return FidelityChoice(fidelity, rows[k], fidelity.levels[k], float(share[k]), float(cost[k]))


def _leaves_enough(
    fidelity: Fidelity,
    before: NDArray[np.float64],
    relative: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    cost: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Return `(k,)` at which levels a trial leaves the full runs their share of the spending."""
    spent, whole = relative(before), fidelity.is_target(before)
    below, full = float(spent[~whole].sum()), float(spent[whole].sum())
    return np.asarray(SHARE * (below + cost) <= (1.0 - SHARE) * full)


def _told(
    gp: TreeGP, rows: NDArray[np.float64], pending: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return by which share a value at each row lowers the variance at the last one."""
    noise = float(np.exp(gp.parameters.noise))
    if len(pending):
        gp = gp.with_data(pending, gp.predict(pending)[0], noise=noise)
    _, cov = gp.joint(rows)
    var = np.maximum(np.diag(cov), 1e-12)
    return np.asarray(np.minimum(cov[:, -1] ** 2 / ((var + noise) * var[-1]), 1.0))
