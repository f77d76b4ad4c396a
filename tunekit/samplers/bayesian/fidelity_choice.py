"""Chooses the fidelity of a point: the cheapest run that still informs about its full run.

The point itself is chosen at the target fidelity. A cheaper trial is worth the share of the
target's variance that it removes, per unit of cost. Once a cheap trial has been run, another one
removes little, so the same region is proposed again at a higher fidelity. Where the spending on
cheaper trials has reached its limit, a full run is due: that of the most promising of the points
that cheaper trials know, not of a point that nothing has been tried of.

Reference: Kandasamy, Dasarathy, Schneider and Póczos, 2017, "Multi-fidelity Bayesian optimisation
with continuous approximations", arXiv 1703.06240 (BOCA): the point by the target, then the
fidelity by information and cost. The measure is that of Song, Chen and Yue, 2019, "A general
framework for multi-fidelity Bayesian optimization with Gaussian processes", arXiv 1811.00755,
eq. 5: information over cost, where a normal's information is its reduction of variance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tunekit.samplers.bayesian.fidelity import Fidelity
from tunekit.samplers.bayesian.fidelity_levels import is_full_run_due
from tunekit.samplers.bayesian.search import RowScore, keys
from tunekit.spaces import Scalar
from tunekit.spaces.encode import Encoder

LEAST = 0.2
"""Minimum information of a cheaper run, as a share of a full run's information."""


@dataclass(frozen=True, slots=True)
class FidelityChoice:
    """A point with the fidelity to run it at.

    Attributes:
        row: `(d,)` the point at that fidelity.
        values: value of each axis of the fidelity.
        whole: the largest that the trial may have.
        told: share of the target's variance that the run removes; `None` where that is not asked.
        cost: cost relative to a full run.
        is_due: whether it is a full run only because cheaper ones have had their share.
        n_known: number of points that cheaper runs know, of which it is the most promising; 0
            for a point of its own.
    """

    fidelity: Fidelity
    row: NDArray[np.float64]
    values: tuple[float, ...]
    whole: tuple[float, ...]
    told: float | None
    cost: float
    is_due: bool = False
    n_known: int = 0

    def explained(self, evidence: dict[str, Any], why: str) -> tuple[dict[str, Any], str]:
        """Return the evidence and explanation of the point, extended by its fidelity."""
        fidelity, values = self.fidelity, self.values
        place = values[0] if len(values) == 1 else dict(zip(fidelity.paths, values, strict=True))
        at: dict[str, Any] = {"at": place, "relative_cost": round(self.cost, 4)}
        if self.told is not None:
            at["told"] = round(self.told, 4)
        text = f"{why}, at {fidelity.shown(values)}"
        if self.n_known:
            at["best_of"] = self.n_known
            text += f": a full run is due, of the best of {self.n_known} points tried for less"
        if values != self.whole and self.told is not None:
            of = f"{self.whole[0]:g}" if len(values) == 1 else fidelity.shown(self.whole)
            text += (
                f" of {of}, which removes {self.told:.0%} of its variance for "
                f"{self.cost:.0%} of its cost"
            )
        return {**evidence, "fidelity": at}, text


class NoiseParameter(Protocol):
    """The parameters of a process, of which only the noise is needed."""

    @property
    def noise(self) -> float:
        """Return the logarithm of the noise variance."""
        ...


class JointProcess(Protocol):
    """The process of an objective; see `tunekit_surrogates.tree_gp.TreeGP`."""

    @property
    def parameters(self) -> NoiseParameter:
        """Return the fitted parameters."""
        ...

    def predict(self, x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return `(m,)` means and `(m,)` variances at `(m, d)` rows."""
        ...

    def joint(self, x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return `(m,)` means and `(m, m)` covariances at `(m, d)` rows."""
        ...

    def with_data(
        self, x: NDArray[np.float64], y: NDArray[np.float64], noise: float
    ) -> JointProcess:
        """Return the process given further `(m, d)` rows and `(m,)` values."""
        ...


class _Learnt(Protocol):
    """The fitted model of a study; see `tunekit.samplers.bayesian.models`."""

    @property
    def encoder(self) -> Encoder: ...

    @property
    def data(self) -> _Observed: ...

    @property
    def gps(self) -> Sequence[JointProcess]: ...


class _Observed(Protocol):
    @property
    def x(self) -> NDArray[np.float64]: ...

    @property
    def violation(self) -> NDArray[np.float64]: ...

    @property
    def failed(self) -> NDArray[np.float64]: ...

    @property
    def fidelity(self) -> Fidelity | None: ...


def begun(fidelity: Fidelity, row: NDArray[np.float64]) -> FidelityChoice:
    """Return a new `(d,)` point at the lowest fidelity, where results decide what goes on."""
    values, whole = fidelity.levels[0], fidelity.levels[-1]
    low = fidelity.at(row[None], values)
    return FidelityChoice(fidelity, low[0], values, whole, None, float(fidelity.shares(low)[0]))


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
    cost = relative(rows)
    before = np.concatenate([model.data.x, model.data.failed, pending])
    told = np.array([_told(gp, rows, pending) for gp in gps])
    share = told.mean(axis=0) if len(gps) else np.eye(len(rows))[-1]
    allowed = share >= LEAST * share[-1]
    known = set(keys(before))
    points = encoder.decode(rows)
    allowed &= [key not in known for key in keys(rows)]
    allowed &= [not encoder.space.violated(p) for p in points]
    allowed[-1] = True
    wanted = int(np.argmax(np.where(allowed, share / cost, -np.inf)))
    last = len(rows) - 1
    is_due = wanted != last and _is_due(fidelity, before, relative, float(cost[wanted]))
    k = last if is_due else wanted
    return FidelityChoice(
        fidelity, rows[k], levels[k], levels[-1], float(share[k]), float(cost[k]), is_due
    )


def chosen_or_due(
    model: _Learnt,
    row: NDArray[np.float64],
    pending: NDArray[np.float64],
    score: RowScore,
    *,
    fixed: Mapping[str, Scalar],
    relative: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None = None,
) -> FidelityChoice | None:
    """Return the fidelity for a point, or the full run that is due of another one.

    It is `None` without a fidelity, and where all its axes are fixed.

    Args:
        model: as in `chosen`.
        row: `(d,)` the point.
        pending: `(p, d)` rows of running trials.
        score: of rows at the target.
        fixed: values that the trial has to keep, by path.
        relative: as in `chosen`; by default costs are the shares of the fidelity.
    """
    fidelity = model.data.fidelity
    if fidelity is None or set(fidelity.paths) <= set(fixed):
        return None
    choice = chosen(model, row, pending, relative or fidelity.shares, fixed=fixed)
    if choice.is_due and not fixed:
        return promoted(choice, model, pending, score)
    return choice


def promoted(
    choice: FidelityChoice, model: _Learnt, pending: NDArray[np.float64], score: RowScore
) -> FidelityChoice:
    """Return the full run that is due, of the most promising point that cheaper runs know.

    A point that nothing has been tried of promises more the less is known of it; a full run is
    too dear to find out. Without a known point the choice stays as it is.

    Args:
        choice: a full run that is due.
        model: as in `chosen`.
        pending: `(p, d)` rows of running trials.
        score: of rows at the target.
    """
    data = model.data
    raised = choice.fidelity.raised(data.x[data.violation == 0.0])
    before = set(keys(np.concatenate([data.x, data.failed, pending])))
    untried = {k: r for k, r in zip(keys(raised), raised, strict=True) if k not in before}
    if not untried:
        return choice
    rows = np.array(list(untried.values()))
    best = rows[int(np.argmax(score(rows)))]
    return replace(choice, row=best, n_known=len(rows))


def _is_due(
    fidelity: Fidelity,
    before: NDArray[np.float64],
    relative: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    cost: float,
) -> bool:
    """Return whether a cheaper run of that cost would leave too little for full runs."""
    spent, whole = relative(before), fidelity.is_target(before)
    below, full = float(spent[~whole].sum()), float(spent[whole].sum())
    return is_full_run_due(below + cost, full)


def _told(
    gp: JointProcess, rows: NDArray[np.float64], pending: NDArray[np.float64]
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
